"""Closed batches: what they count, when they close, and that they are counted once, whatever happens in between."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.monitor.closing import close
from keeprate.deploy.monitor.expected import Expected
from keeprate.deploy.monitor.labels import OTHER, Admission, LabelLimits, fold
from keeprate.deploy.monitor.totals import Totals
from keeprate.schemas.events import Event
from keeprate.sinks.closed import baselines, batches
from keeprate.sinks.closed.batches import (
    BATCH,
    MAX_HORIZONS,
    RETENTION,
    UNKNOWN,
    Labels,
    closable_until,
    delay_of,
)
from keeprate.sinks.closed.watermarks import Progress, progress
from keeprate.sinks.reading import counting
from keeprate.sinks.reading.rates import FEEDBACK, counts_of
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client
from tests.facts import START_MS, Facts
from tests.reading import load_all, reading
from tests.worked_example import worked_example

pytestmark = pytest.mark.clickhouse

START_AT = datetime.fromtimestamp(START_MS / 1000, UTC)
LATER = START_AT + timedelta(hours=6)


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        yield client


@pytest.fixture
def client(engine: Client) -> Client:
    for table in ("generations", "feedback", "outcomes", "quality_batches", "quality_baselines"):
        engine.command(f"TRUNCATE TABLE {table}")
    return engine


@pytest.fixture
def facts() -> Facts:
    return Facts()


def reached(app: str, watermark: datetime) -> dict[str, Progress]:
    return {app: Progress(watermark, watermark, 0)}


def totals_of(client: Client) -> Counter[tuple[str, str]]:
    totals = Totals()
    totals.refresh(client)
    counts: Counter[tuple[str, str]] = Counter()
    for (kind, _, outcome), each in totals.sums.items():
        counts[kind, outcome] += each.count
    return counts


def test_the_worked_example_adds_up_to_its_numbers(client: Client) -> None:
    """6 accepted of 10 shown, and the retention of the worked example, as counts of closed batches."""
    load_all(client, worked_example())
    close(client, reached("worked-example", LATER), Admission())
    counts = totals_of(client)
    assert (counts["generation", "ok"], counts["acceptance", "accepted"], counts["acceptance", "ignored"]) == (40, 6, 4)
    assert {outcome: counts["retention_300", outcome] for outcome in ("retained", "edited", "removed", "unknown")} == {
        "retained": 3,
        "edited": 1,
        "removed": 1,
        "unknown": 1,
    }
    assert counts["latency", "0.25"] == 40
    # At 600 s: c01 and c06 unchanged, c02 1/12, c03 1/3, c04 removed.
    distances = {outcome: count for (kind, outcome), count in counts.items() if kind == "edit_distance"}
    assert distances == {"0": 2, "0.1": 1, "0.5": 1, "1": 1}


def test_closing_in_steps_counts_what_closing_at_once_counts(client: Client) -> None:
    """A watermark that moves by minutes and one that jumps give the same rows."""
    load_all(client, worked_example())
    at = START_AT
    while at < LATER:
        close(client, reached("worked-example", at), Admission())
        at += timedelta(minutes=25)
    close(client, reached("worked-example", LATER), Admission())
    in_steps = totals_of(client)
    client.command("TRUNCATE TABLE quality_batches")
    close(client, reached("worked-example", LATER), Admission())
    assert totals_of(client) == in_steps


def test_closing_again_changes_nothing(client: Client) -> None:
    """Nor does a second monitor, which began from the same marks and inserts the same span."""
    load_all(client, worked_example())
    close(client, reached("worked-example", LATER), Admission())
    before = totals_of(client)
    assert close(client, reached("worked-example", LATER), Admission()) == 0
    since = START_AT
    until = closable_until("acceptance", LATER)
    counts = batches.count(client, "acceptance", "worked-example", since, until)
    folded = fold(counts, Admission())
    batches.store(client, "acceptance", "worked-example", since, until, folded)
    assert totals_of(client)["acceptance", "accepted"] == before["acceptance", "accepted"]


def test_a_batch_that_closed_does_not_change(client: Client, facts: Facts) -> None:
    """What comes later changes the outcome and every view, and no counter."""
    log: list[Event] = [facts.generation("a"), facts.action("a", "shown", 1000)]
    load_all(client, log)
    close(client, reached("app", LATER), Admission())
    load_all(client, [*log, facts.action("a", "accept", 2000)])
    close(client, reached("app", LATER + BATCH), Admission())
    counts = totals_of(client)
    assert (counts["acceptance", "accepted"], counts["acceptance", "ignored"]) == (0, 1)


def test_an_accept_long_after_it_was_shown_does_not_count_as_accepted(client: Client, facts: Facts) -> None:
    """Else history that is counted late would look better than what was counted in time."""
    log = [facts.generation("a"), facts.action("a", "shown", 1000), facts.action("a", "accept", 1000 + 300_001)]
    log += [facts.generation("b"), facts.action("b", "shown", 1000), facts.action("b", "accept", 1000 + 300_000)]
    load_all(client, log)
    close(client, reached("app", LATER), Admission())
    counts = totals_of(client)
    assert (counts["acceptance", "accepted"], counts["acceptance", "ignored"]) == (1, 1)


def test_statuses_and_tokens(client: Client, facts: Facts) -> None:
    """An empty output is ok, a failure by timeout is a timeout; tokens are summed, not counted."""
    log = [
        facts.generation("a", outcome="empty", input_tokens=100, output_tokens=0),
        facts.generation("b", outcome="failed", error_type="ReadTimeout"),
        facts.generation("c", outcome="failed", error_type="RateLimited"),
        facts.generation("d", outcome="filtered", latency_ms=61_000),
        facts.generation("e", outcome="cancelled", input_tokens=5),
    ]
    load_all(client, log)
    close(client, reached("app", LATER), Admission())
    totals = Totals()
    totals.refresh(client)
    statuses = {outcome: each.count for (_, outcome), each in totals.of("generation").items()}
    assert statuses == {"ok": 1, "timeout": 1, "error": 1, "refused": 1, "cancelled": 1}
    assert sum(each.total for (_, outcome), each in totals.of("tokens").items() if outcome == "input") == 105
    assert [outcome for _, outcome in totals.of("latency")] == ["+Inf"]


def test_feedback_events_carry_the_prompt_of_their_generation(client: Client, facts: Facts) -> None:
    """They count in the batch in which they occurred; a revote is two; an orphan's prompt is not known."""
    log = [
        facts.generation("a", prompt_name="p1"),
        facts.vote("a", 1),
        facts.vote("a", -1, 4000),
        facts.flag("a", "wrong"),
        facts.action("a", "copy"),
        facts.edit("orphan", corrected_text="x"),
    ]
    load_all(client, log)
    close(client, reached("app", LATER), Admission())
    totals = Totals()
    totals.refresh(client)
    got = {(labels.prompt, outcome): each.count for (labels, outcome), each in totals.of("feedback").items()}
    assert got == {
        ("p1", "thumbs_up"): 1,
        ("p1", "thumbs_down"): 1,
        ("p1", "flag"): 1,
        ("p1", "copy"): 1,
        (UNKNOWN, "edit"): 1,
    }


def test_a_score_is_up_above_the_middle_of_its_scale_and_down_below(client: Client, facts: Facts) -> None:
    """As in the outcome's register: 1 of 5 is no praise. The middle is neither, nor is a vote that was withdrawn."""
    scores = {"a": (1, 1, 5), "b": (2.5, 1, 5), "c": (3, 1, 5), "d": (4, 1, 5), "e": (-0.5, -1, 1), "f": (0.75, 0, 1)}
    log: list[Event] = [facts.generation(name) for name in (*scores, "g")]
    for name, (score, low, high) in scores.items():
        log.append(facts.vote(name, None, score=float(score), scale_min=float(low), scale_max=float(high)))
    log.append(facts.vote("g", 0))
    load_all(client, log)
    close(client, reached("app", LATER), Admission())
    counts = totals_of(client)
    assert (counts["feedback", "thumbs_up"], counts["feedback", "thumbs_down"]) == (2, 3)
    signs = client.query("SELECT arrayJoin(mapValues(votes)).value AS sign, count() FROM outcomes FINAL GROUP BY sign")
    assert dict(signs) == {1: 2, -1: 3, 0: 2}


def test_folded_labels_lose_no_event(client: Client, facts: Facts) -> None:
    """Twelve prompts under a limit of two: the counts add up, and the folded ones are counted."""
    log = [facts.generation(str(n), at=n * 600_000, prompt_name=f"p{n}") for n in range(12)]
    load_all(client, log)
    close(client, reached("app", LATER), Admission(LabelLimits(prompts=2)))
    totals = Totals()
    totals.refresh(client)
    by_prompt: Counter[str] = Counter()
    for (labels, _), each in totals.of("generation").items():
        by_prompt[labels.prompt] += each.count
    assert by_prompt == {"p0": 1, "p1": 1, OTHER: 10}
    assert {outcome: each.count for (_, outcome), each in totals.of("overflow").items()} == {"prompt": 10}


def test_made_up_horizons_are_no_series(client: Client, facts: Facts) -> None:
    """Of too many, those are that most suggestions are checked at, and no others later; the rest is one number."""
    log = [event for name in "ab" for event in (facts.generation(name), facts.action(name, "accept"))]
    log += [facts.check(name, 600, "abcd") for name in "ab"]
    made_up = [facts.check("a", 30 + number, "abcd") for number in range(100)]
    load_all(client, log + made_up)
    close(client, reached("app", LATER), Admission())
    first = {kind for kind, _ in batches.closed_until(client) if kind.startswith(RETENTION)}
    assert first == {"retention_600", *(f"retention_{30 + number}" for number in range(MAX_HORIZONS - 1))}
    totals = Totals()
    totals.refresh(client)
    ((labels, name), beyond), *others = totals.of("overflow").items()
    assert (labels.app, name, beyond.count, others) == ("app", "horizon", 100 - MAX_HORIZONS + 1, [])
    shorter = [facts.check("b", 1 + number, "abcd") for number in range(20)]
    load_all(client, [*log, *made_up, *shorter, facts.generation("c", at=4 * 3_600_000)])
    close(client, reached("app", LATER + timedelta(hours=6)), Admission())
    assert {kind for kind, _ in batches.closed_until(client) if kind.startswith(RETENTION)} == first


def test_the_watermark_of_a_replay_is_its_trailing_edge(client: Client, facts: Facts) -> None:
    """While history arrives, batches wait for its oldest twentieth; a single late event holds nothing up."""
    now = datetime.now(UTC)
    start = int((now - timedelta(hours=2)).timestamp() * 1000) - START_MS
    log = [facts.generation(str(n), at=start + n * 60_000) for n in range(100)]
    load_all(client, log)
    during = progress(client, now)["app"]
    assert during.watermark == during.newest - timedelta(minutes=94)
    assert during.recent == 100
    soon = now + timedelta(seconds=40)
    assert progress(client, soon)["app"].watermark == during.watermark
    assert progress(client, soon, timedelta(seconds=20))["app"].watermark == during.newest
    afterwards = progress(client, now + timedelta(minutes=2))["app"]
    assert afterwards.watermark == afterwards.newest == during.newest


def test_an_event_from_the_future_moves_no_watermark(client: Client, facts: Facts) -> None:
    """A clock that is years ahead says nothing of the time."""
    now = START_AT + timedelta(minutes=10)
    load_all(client, [facts.generation("a"), facts.generation("b", at=10 * 365 * 86_400_000)])
    assert progress(client, now)["app"].newest == START_AT


def test_a_batch_closes_when_users_and_events_had_their_time() -> None:
    """Five minutes to accept and five to arrive; a retention check its horizon and grace on top."""
    assert closable_until("acceptance", START_AT + timedelta(minutes=14, seconds=59)) == START_AT
    assert closable_until("acceptance", START_AT + timedelta(minutes=15)) == START_AT + BATCH
    assert delay_of("retention_600") == timedelta(minutes=5 + 10 + 5)
    assert delay_of("retention_86400") == timedelta(minutes=5, hours=24) + timedelta(seconds=8640)


def test_baselines_come_from_the_reference_and_a_young_version_inherits(client: Client) -> None:
    """The last day is not in it; a version with too few events takes the rate of its prompt."""
    labels = Labels("app", "p", "1", "m", "s")
    now = START_AT + timedelta(days=10)
    counts = [
        batches.Count("acceptance", START_AT, labels, "accepted", 120),
        batches.Count("acceptance", START_AT, labels, "ignored", 280),
        batches.Count("acceptance", now - timedelta(hours=23), labels, "ignored", 10_000),
        batches.Count("acceptance", now - timedelta(hours=1), Labels("app", "p", "2", "m", "s"), "accepted", 5),
        batches.Count("acceptance", now - timedelta(hours=1), Labels("app", "q", "1", "m", "s"), "accepted", 5),
    ]
    batches.store(client, "acceptance", "app", START_AT, now, counts)
    rows = baselines.baselines(baselines.tallies(client, now))
    assert {row.series: (row.ratio, row.events, row.inherited) for row in rows} == {
        ("app", "p", "1", "m"): (0.3, 400, False),
        ("app", "p", "2", "m"): (0.3, 400, True),
    }
    baselines.keep(client, rows, now)
    baselines.keep(client, rows, now + timedelta(seconds=1))
    kept, computed_at = baselines.kept(client, now - timedelta(days=1))
    assert sorted(kept, key=str) == sorted(rows, key=str)
    assert computed_at == now + timedelta(seconds=1)


def test_a_fresh_start_has_its_baselines_as_soon_as_history_is_closed(client: Client) -> None:
    """Of the whole of it, not of the part that was closed when it first looked, and without waiting for an hour."""
    now = START_AT + timedelta(days=10)
    labels = Labels("app", "p", "1", "m", "s")
    expected = Expected()

    def ratios(closing: bool) -> list[float]:
        return [sample.value for sample in expected.read(client, now, closing)[0].samples]

    half = START_AT + timedelta(days=4)
    batches.store(
        client, "acceptance", "app", START_AT, half, [batches.Count("acceptance", START_AT, labels, "accepted", 400)]
    )
    assert ratios(closing=True) == []
    batches.store(client, "acceptance", "app", half, now, [batches.Count("acceptance", half, labels, "ignored", 400)])
    assert ratios(closing=False) == [0.5]


def test_what_people_and_judges_say_is_counted_with_its_denominator(client: Client) -> None:
    """Flags and negative feedback of what was displayed, corrections of what was accepted, verdicts of judges."""
    log = worked_example()
    load_all(client, log)
    until = closable_until(batches.SIGNAL, LATER)
    counts = batches.count(client, batches.SIGNAL, "worked-example", START_AT, until)
    sums: Counter[tuple[str, str]] = Counter()
    for each in counts:
        sums[each.kind, each.outcome] += each.count
    for kind, rate in (
        ("flag", "flag_rate"),
        ("correction", "correction_rate"),
        ("negative", "negative_feedback_rate"),
    ):
        scope = Scope(START_AT, until, until, ["app"], {"app": ["worked-example"]})
        (row,) = counting.suggestions(client, scope, counts_of(FEEDBACK, (rate,)))
        quotient = FEEDBACK[rate](row)
        assert (sums[kind, "yes"], sums[kind, "yes"] + sums[kind, "no"]) == (quotient.numerator, quotient.denominator)
    judged = [event for event in log if event["type"] == "evaluation" and event["annotator_kind"] == "llm"]
    assert sum(number for (kind, _), number in sums.items() if kind.startswith("judge_")) <= len(judged)
