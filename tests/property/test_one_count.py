"""Every number is that of a plain reading of the merged outcomes: from rows, from sums of hours, from both."""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import parse_key
from keeprate.sinks.reading import counting, hours, latency, queries, splitting, voices
from keeprate.sinks.reading.derive import derive
from keeprate.sinks.reading.measures import CALLS_BY_LATENCY, SAID
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.voices import Scales
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.upkeep.recompute import write
from tests import reference
from tests.examples import examples
from tests.reading import load, reading
from tests.strategies import BASE_MS, logs

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow, pytest.mark.timeout(600)]

HOUR_MS = 3_600_000
START_AT = datetime.fromtimestamp(BASE_MS // HOUR_MS * HOUR_MS / 1000, UTC)
SEARCHERS = {"toolset": ["search", "edit, search"]}
_READERS = ("funnel", "rates", "retention", "retention_rates", "feedback_rates", "judge_rates")


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        reference.create(client)
        yield client


def spread(log: list[Event], seed: int, over_hours: int = 6) -> list[Event]:
    """The same log over some hours: what happened in one second stays together."""
    rng = random.Random(seed)
    moved = {BASE_MS + second * 1000: rng.randrange(over_hours * HOUR_MS) for second in range(-1, 10)}
    return [event | {"occurred_at": event["occurred_at"] + moved[event["occurred_at"]]} for event in log]


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    since = START_AT + draw(st.sampled_from([timedelta(), timedelta(hours=1), timedelta(minutes=90)]))
    until = since + draw(st.sampled_from([timedelta(hours=2), timedelta(hours=7), timedelta(minutes=200)]))
    by = draw(st.lists(st.sampled_from(["app", "model", "user", "toolset"]), unique=True))
    only = draw(st.sampled_from([{}, {}, {"app": ["chat"]}, {"model": ["m1", ""]}, {"user": ["u1"]}, SEARCHERS]))
    as_of = START_AT + timedelta(milliseconds=draw(st.integers(0, 8 * HOUR_MS)))
    bucket_s = draw(st.sampled_from([0, 3600, 7200, 600]))
    return Scope(since, until, as_of, by, only, bucket_s, horizons=draw(st.sampled_from([(), (), (120, 7200)])))


def referred(client: Client, *scopes: Scope) -> list[dict[str, dict[tuple[Any, ...], dict[str, Any]]]]:
    """What the reference says to every reader about each scope, by its key. It costs ten times what the readers do."""
    reference.hold(client)
    return [
        {name: {_key(row, scope): row for row in reference.ask(client, name, scope)} for name in _READERS}
        for scope in scopes
    ]


def _plain(row: Any) -> dict[str, Any]:
    values: dict[str, Any] = vars(row)
    return values | dict(row.dimensions)


def _key(row: dict[str, Any], scope: Scope) -> tuple[Any, ...]:
    names = ("bucket_at", *scope.by, "horizon_s", "metric", "evaluation", "annotator", "label")
    return tuple(row.get(name, "") for name in names)


def assert_same(client: Client, scope: Scope, want: dict[str, dict[tuple[Any, ...], dict[str, Any]]]) -> None:
    """Every reader says what the reference said."""
    for name in _READERS:
        rows = {_key(_plain(row), scope): row for row in getattr(queries, name)(client, scope)}
        assert rows.keys() == want[name].keys(), name
        for key, row in rows.items():
            for field in vars(row).keys() - {"dimensions"}:
                ours, value = getattr(row, field), want[name][key][field]
                # The reference adds floats, which is exact but for the last digits.
                same = ours == value or (None not in (ours, value) and ours == pytest.approx(value, rel=1e-7, abs=2e-9))
                assert same, f"{name} {row}: {field} is {ours}, and {value} by the reference"


def assert_each_hour(client: Client) -> None:
    """A question about one hour, which reads no more than that hour, counts nothing that has left it."""
    whole = client.query(
        "SELECT hour, countIf(orphan), countIf(NOT orphan AND choice_index = 0) FROM suggestions FINAL GROUP BY hour",
        settings={"use_skip_indexes_if_final": 0},
    )
    by_hour = {hour: (orphans, generations) for hour, orphans, generations in whole}
    for number in range(-1, 10):
        since = START_AT + timedelta(hours=number)
        scope = Scope(since, since + timedelta(hours=1), START_AT + timedelta(days=1))
        rows = queries.counted(client, scope, ("orphans", "opportunities"))
        found = [(row["orphans"], row["opportunities"]) for row in rows]
        known = by_hour.get(int(since.timestamp()) // 3600)
        assert found == ([known] if known else []), since


def assert_same_words(client: Client, scope: Scope) -> None:
    """What judges and users said is what a plain reading of the rows of suggestions says, and so are latencies."""
    asked, scales, horizon_s = replace(scope, by=(), horizons=()), Scales(), 120
    rows = f"FROM suggestions FINAL WHERE {scope.condition()} AND NOT orphan"
    parameters = scope.parameters() | voices.kept_parameters(scope, horizon_s) | scales.parameters()
    counted = client.query(
        f"SELECT {asked.bucket('cohort_ms')} AS bucket_ms, item.1, item.2, {scales.side('item.1', 'item.3')} AS judge, "
        f"{voices.KEPT} AS kept, {SAID} AS said, count() {rows.replace('WHERE', _EACH_WORD)} GROUP BY ALL",
        parameters,
        hours.FINAL,
    )
    want = Counter[tuple[Any, ...]]()
    for bucket_ms, evaluation, annotator, judge, kept, said, number in counted:
        want[bucket_ms, evaluation, annotator, judge, "", said] += number
        if judge and kept:
            want[bucket_ms, evaluation, annotator, judge, kept, ""] += number
    heard = voices.heard(client, asked, horizon_s)
    found = voices.judgements(client, heard, scales)
    names = ("bucket_ms", "evaluation", "annotator", "judge", "kept", "said")
    assert {tuple(getattr(each, name) for name in names): each.number for each in found} == want
    both = f"SELECT {SAID} AS said, {voices.KEPT} AS kept, count() {rows} GROUP BY ALL HAVING said != '' AND kept != ''"
    users = {(each.said, each.kept): each.number for each in voices.said_and_kept(heard)}
    assert users == {(said, kept): number for said, kept, number in client.query(both, parameters, hours.FINAL)}
    took = client.query(
        f"SELECT latency_ms {rows} AND choice_index = 0 AND latency_ms IS NOT NULL ORDER BY latency_ms",
        scope.parameters(),
        hours.FINAL,
    )
    calls = [row[CALLS_BY_LATENCY] for row in queries.counted(client, replace(asked, bucket_s=0), (CALLS_BY_LATENCY,))]
    for each in latency.quantiles(calls[0]) if calls else ():
        ((exact,),) = took[math.ceil(each.level * len(took)) - 1 :][:1]
        assert each.calls == len(took)
        assert each.low_ms <= exact <= each.high_ms
        assert each.value_ms == pytest.approx(exact, rel=0.0111, abs=0.5)


_EACH_WORD = "ARRAY JOIN arrayZip(judged.evaluation, judged.annotator, judged.label) AS item WHERE item.3 != '' AND"


@settings(max_examples=examples(4))
@given(logs(50), st.integers(0, 1000), st.lists(scopes(), min_size=1, max_size=3))
def test_every_answer_is_the_references(engine: Client, log: list[Event], seed: int, asked: list[Scope]) -> None:
    """From suggestions alone, then with sums of hours, at any age."""
    load(engine, spread(log, seed))
    _forget_sums(engine)
    want = referred(engine, *asked)
    for scope, by_reference in zip(asked, want, strict=True):
        assert_same(engine, scope, by_reference)
        assert_same_words(engine, scope)
    assert hours.sum_quiet(engine, quiet_s=0) > 0
    for scope, by_reference in zip(asked, want, strict=True):
        assert_same(engine, scope, by_reference)
        assert_same_words(engine, scope)


@settings(max_examples=examples(4))
@given(logs(40), logs(20), st.integers(0, 1000), scopes())
def test_sums_do_not_outlive_what_they_are_of(
    engine: Client, log: list[Event], later: list[Event], seed: int, scope: Scope
) -> None:
    """Late facts, orphans that are joined, generations that move to another hour: summed hours are left at once."""
    load(engine, spread(log, seed))
    _forget_sums(engine)
    hours.sum_quiet(engine, quiet_s=0)
    facts = fold(spread(later, seed + 1))
    write(engine, facts)
    derive(engine, {parse_key(key)[:2] for key in facts})
    assert_each_hour(engine)
    whole = replace(scope, by=(), only={}, bucket_s=3600)
    want, of_all = referred(engine, scope, whole)
    assert_same(engine, scope, want)
    hours.sum_quiet(engine, quiet_s=0)
    assert_same(engine, scope, want)
    assert_same(engine, whole, of_all)


@settings(max_examples=examples(6))
@given(logs(50), st.integers(0, 1000), scopes(), st.lists(st.integers(0, 8 * 60), min_size=1, max_size=3))
def test_eras_are_questions_of_their_own(
    engine: Client, log: list[Event], seed: int, scope: Scope, minutes: list[int]
) -> None:
    """What one question tells apart is what a question for each era says, with sums of hours and without."""
    load(engine, spread(log, seed))
    _forget_sums(engine)
    eras = sorted(scope.since + timedelta(minutes=number) for number in minutes)
    eras = [at for at in eras if at < scope.until] or [scope.since]
    for summed in (False, True):
        if summed:
            hours.sum_quiet(engine, quiet_s=0)
        for ask, more in ((queries.counted, ()), (queries.counted_at_horizons, ("horizon_s",))):
            together = ask(engine, replace(scope, eras=eras))
            apart = []
            for number, (since, until) in enumerate(pairwise([scope.since, *eras, scope.until])):
                rows = ask(engine, replace(scope, since=since, until=until)) if since < until else []
                apart += [row | {"era": number, "bucket_ms": row["bucket_ms"] if scope.bucket_s else 0} for row in rows]
            keys = ("era", "bucket_ms", *scope.by, *more)
            if not scope.bucket_s:
                together = [row | {"bucket_ms": 0} for row in together]
            assert _by(keys, together) == _by(keys, apart)


@st.composite
def scopes_of_days(draw: st.DrawFn) -> Scope:
    """Spans of whole days and parts, whose eras and edges of age run through some of them."""
    since = START_AT.replace(hour=0) + timedelta(hours=draw(st.sampled_from([0, 0, 5])))
    until = since + timedelta(hours=draw(st.sampled_from([96, 80])))
    as_of = START_AT + timedelta(minutes=draw(st.integers(0, 6 * 24 * 60)))
    by = draw(st.sampled_from([(), ("app",), ("model", "toolset")]))
    bucket_s = draw(st.sampled_from([0, 0, 86_400, 2 * 86_400, 3600]))
    eras = [since + timedelta(hours=draw(st.integers(1, 70)))] if draw(st.booleans()) else []
    return Scope(since, until, as_of, by, {}, bucket_s, horizons=draw(st.sampled_from([(), (120, 86_400)])), eras=eras)


def _land_later(engine: Client, later: list[Event], seed: int) -> None:
    """Land events of the same three days, behind those that are there."""
    facts = fold(spread(later, seed + 1, 72))
    write(engine, facts)
    derive(engine, {parse_key(key)[:2] for key in facts})


def _partly_summed(engine: Client, log: list[Event], later: list[Event], seed: int) -> None:
    """Land a log, sum its hours, and touch some of them by what lands later."""
    load(engine, spread(log, seed, 72))
    _forget_sums(engine)
    hours.sum_quiet(engine, quiet_s=0)
    _land_later(engine, later, seed)


@settings(max_examples=examples(3))
@given(logs(50), logs(20), st.integers(0, 1000), scopes_of_days())
def test_sums_of_days_change_no_number(
    engine: Client, log: list[Event], later: list[Event], seed: int, scope: Scope
) -> None:
    """Neither while they stand, nor when what lands later touches an hour of theirs."""
    load(engine, spread(log, seed, 72))
    _forget_sums(engine)
    plain = _counts(engine, scope)
    hours.sum_quiet(engine, quiet_s=0)
    assert engine.query(f"SELECT count() FROM {hours.summed_table()} WHERE span = 24") != [(0,)]
    assert _counts(engine, scope) == plain
    _land_later(engine, later, seed)
    touched = _counts(engine, scope)
    hours.sum_quiet(engine, quiet_s=0)
    again = _counts(engine, scope)
    _forget_sums(engine)
    assert touched == again == _counts(engine, scope)


@settings(max_examples=examples(3))
@given(logs(50), logs(10), st.integers(0, 1000), scopes_of_days(), st.sampled_from([{}, {"app": ["chat"]}]))
def test_a_part_of_a_question_is_answered_as_if_it_was_asked_alone(
    engine: Client, log: list[Event], later: list[Event], seed: int, scope: Scope, only: dict[str, list[str]]
) -> None:
    """By what is known to be summed of a longer span and of all apps; and of one horizon of those that there are."""
    _partly_summed(engine, log, later, seed)
    longer = replace(scope, since=scope.since - timedelta(hours=30), until=scope.until + timedelta(hours=3), eras=())
    part, summed = replace(scope, only=only), splitting.known(engine, longer)
    counts, at_horizons = _counts(engine, part)
    assert _sorted(queries.counted(engine, part, (), summed)) == counts
    assert _sorted(queries.counted_at_horizons(engine, part, (), summed)) == at_horizons
    part = replace(part, horizons=())
    _, at_horizons = _counts(engine, part)
    whole = queries.counted_at_horizons(engine, replace(part, bucket_s=0))
    for horizon_s in {row["horizon_s"] for row in at_horizons} | {77}:
        found = _sorted(queries.counted_at_horizons(engine, part, (), summed, only=horizon_s))
        its_own = [row for row in at_horizons if row["horizon_s"] == horizon_s]
        assert found == its_own
        others = [row for row in whole if row["horizon_s"] != horizon_s]
        found = queries.counted_at_horizons(engine, replace(part, in_buckets=horizon_s), (), summed)
        assert _sorted(found) == _sorted([*its_own, *others])
    checked = engine.query(
        "SELECT app, arrayJoin(checks.horizon_s) AS horizon_s FROM suggestions FINAL "
        f"WHERE {part.condition()} AND NOT orphan GROUP BY ALL ORDER BY app, count() DESC, horizon_s",
        part.parameters(),
        hours.FINAL,
    )
    for known in (summed, None, hours.Known(0, 0)):
        assert counting.most_checked(engine, part, summed=known) == checked
    counts, by_app = _counts(engine, replace(part, by=("app",)))
    assert {(row["app"], row["horizon_s"]) for row in by_app} == set(checked)
    first: dict[str, int] = {}
    for row in counts:
        first[row["app"]] = min(row["bucket_ms"], first.get(row["app"], row["bucket_ms"]))
    for known in (summed, None, hours.Known(0, 0)):
        found = counting.first_buckets(engine, replace(part, by=("app",), eras=()), known)
        assert {row["app"]: row["bucket_ms"] for row in found} == first


@settings(max_examples=examples(3))
@given(logs(50), logs(10), st.integers(0, 1000), scopes_of_days(), st.sampled_from([{}, {"app": ["chat"]}]))
def test_horizons_are_those_of_the_checks_that_there_are(
    engine: Client, log: list[Event], later: list[Event], seed: int, scope: Scope, only: dict[str, list[str]]
) -> None:
    """Of what is summed the sums tell them, of a longer span as well where this one begins with a day."""
    _partly_summed(engine, log, later, seed)
    part = Scope(scope.since.replace(hour=0), scope.until, scope.as_of, only=only)
    longer = replace(part, since=part.since - timedelta(hours=30), until=part.until + timedelta(hours=3), only={})
    rows = engine.query(
        "SELECT DISTINCT app, arrayJoin(checks.horizon_s) FROM suggestions FINAL "
        f"WHERE {part.condition()} AND NOT orphan",
        part.parameters(),
        hours.FINAL,
    )
    for known in (splitting.known(engine, longer), None, hours.Known(0, 0)):
        found = counting.horizons(engine, part, known)
        assert {(app, horizon_s) for app, of_app in found.items() for horizon_s in of_app} == set(rows)


def _counts(client: Client, scope: Scope) -> list[list[dict[str, Any]]]:
    rows = [queries.counted(client, scope), queries.counted_at_horizons(client, scope)]
    return [_sorted(each) for each in rows]


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in sorted(row)} for row in rows]


def _by(keys: Sequence[str], rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(row.get(name, 0) for name in keys): {key: row[key] for key in sorted(row)} for row in rows}
    assert len(found) == len(rows)
    return found


def _forget_sums(client: Client) -> None:
    """What was loaded before went without a word to the sums."""
    for table in (hours.summed_table(), hours.sums_table(), hours.checks_table()):
        client.command(f"TRUNCATE TABLE {table}")
