"""What a request asks for: offered values pass, all others are refused by name, and periods meet without a gap."""

from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.page.selection import DIMENSIONS, PERIODS, Selection, SelectionError, Span, collected, parse
from keeprate.schemas.kinds import MAX_HORIZON_S
from keeprate.sinks.reading.scope import DIMENSIONS as OFFERED

SPANS: tuple[Span, ...] = ("now", "before", "grouped", "over_time")
NOW = datetime(2026, 3, 2, 9, 7, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"period": "2h"}, "period: '2h' is not offered; choose from 1h, 6h, 24h, 7d, 30d, 90d"),
        ({"by": "cost"}, "by: 'cost' is not offered"),
        ({"by": "model,cost"}, "by: 'cost' is not offered"),
        ({"by": "model,step,app"}, "by: 'model,step,app' names 3 dimensions; at most 2"),
        ({"model": [str(number) for number in range(30)]}, "model: 30 values; a filter has 20 at most"),
        ({"period": ["1h", "7d"]}, "period is there twice, as '1h' and '7d': leave one"),
        ({"language": "l" * 300}, "language: 'lll"),
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
        ({"hoirzon": "30"}, "'hoirzon' is no parameter; there are app, environment, user"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(parameters: dict[str, str | list[str]], message: str) -> None:
    """The refusal names the parameter, what it was, and what would do."""
    with pytest.raises(SelectionError, match=message.replace("(", r"\(")):
        parse(parameters)


def test_a_refusal_is_short_whatever_it_refuses() -> None:
    """It is shown in a banner."""
    for name in ("app", "environment", "period", "by", "horizon", "metric", "kind", "x" * 9000):
        with pytest.raises(SelectionError) as caught:
            parse({name: "\u202e" * 9000})
        assert len(str(caught.value)) < 700


def test_a_filter_keeps_any_of_its_values() -> None:
    """Given once or several times, in any order: equal filters are one, and share their numbers."""
    given = collected([("language", "python"), ("model", "m"), ("language", "go"), ("language", "go"), ("user", "")])
    selection = parse(given)
    assert selection.only == {"language": ["go", "python"], "model": ["m"]}
    assert selection == parse({"model": "m", "language": ["go", "python"]})


def test_every_dimension_of_the_numbers_is_a_cut_and_a_filter() -> None:
    """As in the command line."""
    assert set(DIMENSIONS) - {""} == set(OFFERED)
    for name in OFFERED:
        assert parse({"by": name}).by == (name,)
        assert parse({name: "x"}).only == {name: ["x"]}


def test_two_dimensions_cut_together() -> None:
    """The order is that of the request, and one that is there twice counts once."""
    assert parse({"by": "model,language"}).by_text == "model and language"
    assert parse({"by": "model,model"}).by == ("model",)


def test_the_longest_horizon_may_have_leading_zeros() -> None:
    """As any number may."""
    assert parse({"horizon": "0" * 40 + str(MAX_HORIZON_S)}).horizon_s == MAX_HORIZON_S


def test_absent_parameters_have_defaults() -> None:
    """A request without parameters is the last day of everything, not cut."""
    assert parse({}) == Selection(by=())


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
    assert parse({"by": "prompt_version,model"}).dimensions == ("app", "prompt_version", "model")
    assert parse({"by": "prompt_version", "app": ["editor", "support"]}).dimensions == ("app", "prompt_version")
    assert parse({"by": "prompt_version", "app": "editor"}).dimensions == ("prompt_version",)
    assert parse({"app": "editor"}).dimensions == ()


def test_an_empty_filter_keeps_everything() -> None:
    """As an absent one."""
    assert parse({"app": "editor", "environment": ""}).only == {"app": ["editor"]}


@pytest.mark.parametrize("parameters", [{"horizon": "30"}, {"metric": "retention"}, {"kind": "vote"}])
def test_what_does_not_decide_numbers_shares_them(parameters: dict[str, str]) -> None:
    """Another horizon, metric or kind needs no query that was not asked already."""
    for span in SPANS:
        assert parse(parameters).core(span) == parse({}).core(span)


@pytest.mark.parametrize("parameters", [{"app": "a"}, {"user": "u"}, {"step": "s"}, {"period": "1h"}])
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
    assert parse({"period": "1h"}).keep_s == 2
    assert parse({"period": "24h"}).keep_s == pytest.approx(8.64)
    assert parse({"period": "90d"}).keep_s == 60
