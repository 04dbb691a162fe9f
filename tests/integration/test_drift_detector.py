"""The detector over stored batches: it finds a fall, says when it began, and goes on where it was after a restart."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.monitor.drift_source import cause_gauge, gauges
from keeprate.deploy.monitor.drifting import Detector, Watched
from keeprate.deploy.why.drifted import Explanations
from keeprate.sinks.closed import batches
from keeprate.sinks.closed.batches import BATCH, Count, Labels
from keeprate.sinks.closed.drift_states import Series
from keeprate.sinks.store.clickhouse import Client
from tests.reading import reading

pytestmark = pytest.mark.clickhouse

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
FALL_AT = START_AT + timedelta(days=30, hours=6)
OLD, NEW = Labels("app", "p", "1", "m", "s"), Labels("app", "p", "2", "m", "s")
SERIES: Series = ("app", "p", "1", "m", "acceptance")


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        yield client


@pytest.fixture
def client(engine: Client) -> Client:
    for table in ("quality_batches", "drift_states"):
        engine.command(f"TRUNCATE TABLE {table}")
    return engine


def close(client: Client, since: datetime, until: datetime, accepted: int) -> None:
    """Close batches of 20 suggestions, of which so many were accepted."""
    counts = []
    for n in range((until - since) // BATCH):
        counts.append(Count("acceptance", since + n * BATCH, OLD, "accepted", accepted))
        counts.append(Count("acceptance", since + n * BATCH, OLD, "ignored", 20 - accepted))
    batches.store(client, "acceptance", "app", since, until, counts)


def detected(client: Client, detector: Detector | None = None) -> Watched:
    detector = detector or Detector()
    detector.refresh(client)
    return detector.watched[SERIES]


def test_a_fall_is_found_and_dated(client: Client) -> None:
    """Thirty steady days, then half of the acceptance: an alarm within three hours, and nothing before."""
    close(client, START_AT, FALL_AT, 6)
    detector = Detector()
    steady = detected(client, detector)
    assert steady.stage(detector.policy) == "own"
    assert max(steady.ratio("fell", detector.policy), steady.ratio("rose", detector.policy)) < 0.1
    close(client, FALL_AT, FALL_AT + timedelta(hours=3), 3)
    fallen = detected(client, detector)
    assert fallen.stage(detector.policy) == "alarm"
    assert fallen.ratio("rose", detector.policy) < 1
    samples = {family.name: family.samples for family in gauges(detector)}
    (change,) = samples["keeprate_drift_change_timestamp_seconds"]
    assert (change.labels["direction"], change.value) == ("down", FALL_AT.timestamp())
    standing = {each.labels["state"] for each in samples["keeprate_drift_state"] if each.value}
    assert standing == {"alarm"}


def test_another_mix_of_surfaces_is_no_fall(client: Client) -> None:
    """Half of it in a surface with twice the acceptance, then a tenth of it: the series' rate falls, and no alarm."""
    end = START_AT + timedelta(days=32)
    counts = []
    for n in range((end - START_AT) // BATCH):
        at = START_AT + n * BATCH
        many, few = (20, 20) if at < FALL_AT else (36, 4)
        for surface, shown, accepted in (("chat", many, many // 4), ("editor", few, few // 2)):
            labels = replace(OLD, surface=surface)
            counts.append(Count("acceptance", at, labels, "accepted", accepted))
            counts.append(Count("acceptance", at, labels, "ignored", shown - accepted))
    batches.store(client, "acceptance", "app", START_AT, end, counts)
    detector = Detector()
    watched = detected(client, detector)
    assert watched.stage(detector.policy) == "own"
    assert watched.baseline is not None
    assert set(watched.baseline.strata) == {"chat\x1f\x1f", "editor\x1f\x1f"}
    assert max(watched.ratio("fell", detector.policy), watched.ratio("rose", detector.policy)) < 0.1


def test_a_restart_goes_on_where_it_was(client: Client) -> None:
    """One detector that saw everything, and one that took up from the kept states in between."""
    close(client, START_AT, FALL_AT, 6)
    whole = Detector()
    detected(client, whole)
    close(client, FALL_AT, FALL_AT + timedelta(minutes=40), 3)
    at_once = detected(client, whole)
    again = detected(client, Detector())
    assert again.state.fell.cusum == at_once.state.fell.cusum
    assert again.ratio("fell", whole.policy) == pytest.approx(at_once.ratio("fell", whole.policy))
    assert again.baseline == at_once.baseline


def test_scoring_day_by_day_is_scoring_at_once(client: Client) -> None:
    """A monitor that was away for two days ends where one that stayed did."""
    stayed = Detector()
    close(client, START_AT, START_AT + timedelta(days=29), 6)
    detected(client, stayed)
    for n in range(4):
        since = START_AT + timedelta(days=29, hours=12 * n)
        close(client, since, since + timedelta(hours=12), 5 + n % 3)
        last = detected(client, stayed)
    client.command("TRUNCATE TABLE drift_states")
    away = detected(client)
    assert away.state.last_batch == last.state.last_batch
    assert away.baseline == last.baseline


def test_a_suspected_change_is_not_learnt(client: Client) -> None:
    """The baseline of an alarm stays that of the day before it, a week long."""
    close(client, START_AT, FALL_AT, 6)
    close(client, FALL_AT, FALL_AT + timedelta(days=7), 3)
    detector = Detector()
    fallen = detected(client, detector)
    assert fallen.stage(detector.policy) == "alarm"
    assert fallen.baseline_day == FALL_AT.replace(hour=0)


def test_a_young_version_inherits_and_an_unknown_prompt_waits(client: Client) -> None:
    """One day of its own is enough beside its prompt's history; without one it takes four."""
    labels = Labels("app", "q", "1", "m", "s")
    end = START_AT + timedelta(days=30)
    close(client, START_AT, end - timedelta(days=2), 6)
    counts = [
        Count("acceptance", end - timedelta(days=2) + n * BATCH, each, outcome, number)
        for n in range(2 * 288)
        for each in (NEW, labels)
        for outcome, number in (("accepted", 8), ("ignored", 12))
    ]
    batches.store(client, "acceptance", "app", end - timedelta(days=2), end, counts)
    detector = Detector()
    detector.refresh(client)
    standings = {series[1:3]: each.stage(detector.policy) for series, each in detector.watched.items()}
    assert standings[("p", "2")] == "inherited"
    assert standings[("q", "1")] == "warming"


def close_languages(client: Client, since: datetime, until: datetime, accepted: int, prompts: tuple[str, ...]) -> None:
    """Batches of ten suggestions in go, of which three are accepted, and of ten in typescript, of which so many are."""
    counts = [
        Count("acceptance", since + n * BATCH, Labels("app", prompt, "1", "m", "s", language), outcome, number)
        for n in range((until - since) // BATCH)
        for prompt in prompts
        for language, kept in (("go", 3), ("typescript", accepted))
        for outcome, number in (("accepted", kept), ("ignored", 10 - kept))
    ]
    batches.store(client, "acceptance", "app", since, until, counts)


def test_prompts_that_fall_together_are_one_cause_whose_cut_is_named(client: Client) -> None:
    """Typescript falls in two prompts of an app at once: both are told under one name, also after a restart."""
    close_languages(client, START_AT, FALL_AT, 4, ("p", "q"))
    end = FALL_AT + timedelta(hours=4)
    detector = Detector()
    detector.refresh(client)
    close_languages(client, FALL_AT, end, 0, ("p", "q"))
    detector.refresh(client)
    found = {each.series[1]: each for each in detector.alarms()}
    assert set(found) == {"p", "q"}
    (cause,) = {each.cause for each in found.values()}
    explanations = Explanations()
    explanations.refresh(client, detector.alarms())
    (sample,) = cause_gauge(explanations.found).samples
    assert sample.labels == {
        "app": "app", "cause": cause, "concern": "quality", "cut": "language", "value": "typescript", "by": "rate"
    }  # fmt: skip
    assert 0.9 < sample.value < 1.1
    again = Detector()
    again.refresh(client)
    assert {each.series: each.cause for each in again.alarms()} == {each.series: cause for each in found.values()}
    alarms = {family.name: family for family in gauges(again)}["keeprate_drift_alarm_since_timestamp_seconds"]
    assert {(each.labels["prompt"], each.labels["cause"], each.value) for each in alarms.samples} == {
        (prompt, cause, FALL_AT.timestamp()) for prompt in ("p", "q")
    }


def test_a_version_that_is_used_no_more_is_in_no_alarm(client: Client) -> None:
    """A day after it was taken back: what it ended with would else be told for ever."""
    close(client, START_AT, FALL_AT, 6)
    detector = Detector()
    detected(client, detector)
    close(client, FALL_AT, FALL_AT + timedelta(hours=3), 3)
    detected(client, detector)
    assert [each.series for each in detector.alarms()] == [SERIES]
    back = FALL_AT + timedelta(hours=3)
    counts = [
        Count("acceptance", back + n * BATCH, NEW, outcome, number)
        for n in range(25 * 12)
        for outcome, number in (("accepted", 6), ("ignored", 14))
    ]
    batches.store(client, "acceptance", "app", back, back + timedelta(hours=25), counts)
    detector.refresh(client)
    assert detector.watched[SERIES].stage(detector.policy) == "alarm"
    assert list(detector.alarms()) == []
