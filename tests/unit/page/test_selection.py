"""What a request asks for: offered values pass, all others are refused by name, and periods meet without a gap."""

from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.page.selection import PERIODS, Selection, SelectionError, Span, once, parse
from keeprate.schemas.kinds import MAX_HORIZON_S

SPANS: tuple[Span, ...] = ("now", "before", "grouped", "over_time")
NOW = datetime(2026, 3, 2, 9, 7, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"period": "2h"}, "period: '2h' is not offered; choose from 1h, 6h, 24h, 7d, 30d, 90d"),
        ({"by": "user"}, "by: 'user' is not offered"),
        ({"metric": "cost"}, "metric: 'cost' is not offered"),
        ({"kind": "evaluation"}, "kind: 'evaluation' is not offered; choose from flag, vote, edit"),
        ({"horizon": "soon"}, "horizon: 'soon' is not a number of seconds"),
        ({"horizon": "0"}, "horizon: '0' is not a number of seconds"),
        ({"horizon": "9" * 40}, "is not a number of seconds"),
        ({"horizon": "٣٠٠"}, "is not a number of seconds"),
        ({"horizon": "1" * 5000}, "is not a number of seconds from 1 to"),
        ({"horizon": "0" * 5000}, "is not a number of seconds from 1 to"),
        ({"horizon": "-30"}, "horizon: '-30' is not a number of seconds"),
        ({"horizon": str(MAX_HORIZON_S + 1)}, "is not a number of seconds"),
        ({"app": "a" * 300}, "app: 'aaa"),
        ({"environment": "e" * 5000}, "has 5000 characters; a name has"),
        ({"hoirzon": "30"}, "'hoirzon' is no parameter; there are app, environment, period"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(parameters: dict[str, str], message: str) -> None:
    """The refusal names the parameter, what it was, and what would do."""
    with pytest.raises(SelectionError, match=message.replace("(", r"\(")):
        parse(parameters)


def test_a_refusal_is_short_whatever_it_refuses() -> None:
    """It is shown in a banner."""
    for name in ("app", "environment", "period", "by", "horizon", "metric", "kind", "x" * 9000):
        with pytest.raises(SelectionError) as caught:
            parse({name: "\u202e" * 9000})
        assert len(str(caught.value)) < 700


def test_a_parameter_that_is_there_twice_is_refused() -> None:
    """Nobody has to guess which one counts."""
    assert once([("app", "a"), ("by", "")]) == {"app": "a", "by": ""}
    with pytest.raises(SelectionError, match="'app' is there twice, as 'a' and 'b'"):
        once([("app", "a"), ("app", "b")])


def test_the_longest_horizon_may_have_leading_zeros() -> None:
    """As any number may."""
    assert parse({"horizon": "0" * 40 + str(MAX_HORIZON_S)}).horizon_s == MAX_HORIZON_S


def test_absent_parameters_have_defaults() -> None:
    """A request without parameters is the last day of everything, not cut."""
    assert parse({}) == Selection(by="")


def test_the_period_before_ends_where_the_period_begins() -> None:
    """No generation is in both periods, and none between them is in neither."""
    selection = parse({"period": "7d"})
    assert selection.scope("before", NOW).until == selection.scope("now", NOW).since
    assert selection.scope("before", NOW).as_of == NOW


@pytest.mark.parametrize("period", PERIODS)
def test_buckets_begin_whole_and_cover_the_period(period: str) -> None:
    """The first bucket of a series is whole, begins at most one bucket early, and there are some dozens at most."""
    selection = parse({"period": period})
    scope = selection.scope("over_time", NOW)
    assert scope.since.timestamp() % scope.bucket_s == 0
    assert timedelta() <= NOW - selection.span.length - scope.since < timedelta(seconds=scope.bucket_s)
    assert 10 <= (scope.until - scope.since).total_seconds() / scope.bucket_s <= 40


def test_versions_of_all_apps_are_told_apart_by_their_app() -> None:
    """Version 2 of one app and version 2 of another have nothing in common but the name."""
    assert parse({"by": "prompt_version"}).dimensions == ("app", "prompt_version")
    assert parse({"by": "prompt_version", "app": "editor"}).dimensions == ("prompt_version",)
    assert parse({"app": "editor"}).dimensions == ()


def test_filters_keep_one_value_each() -> None:
    """An empty filter keeps everything."""
    assert parse({"app": "editor", "environment": ""}).only == {"app": ["editor"]}


@pytest.mark.parametrize("parameters", [{"horizon": "30"}, {"metric": "retention"}, {"kind": "vote"}])
def test_what_does_not_decide_numbers_shares_them(parameters: dict[str, str]) -> None:
    """Another horizon, metric or kind needs no query that was not asked already."""
    for span in SPANS:
        assert parse(parameters).core(span) == parse({}).core(span)


@pytest.mark.parametrize("parameters", [{"app": "a"}, {"environment": "e"}, {"period": "1h"}])
def test_what_decides_numbers_has_its_own(parameters: dict[str, str]) -> None:
    """No selection ever shows the numbers of another."""
    for span in SPANS:
        assert parse(parameters).core(span) != parse({}).core(span)


def test_a_cut_decides_the_numbers_of_what_is_cut() -> None:
    """The key numbers are the same whatever they are compared by."""
    cut, whole = parse({"by": "model"}), parse({})
    assert [span for span in SPANS if cut.core(span) != whole.core(span)] == ["grouped", "over_time"]


def test_numbers_are_kept_while_nothing_could_be_seen_to_change() -> None:
    """Seconds for an hour, at most a minute for a quarter of a year."""
    assert parse({"period": "1h"}).keep_s("now") == 2
    assert parse({"period": "24h"}).keep_s("now") == pytest.approx(8.64)
    assert parse({"period": "90d"}).keep_s("before") == 60
