"""Releases of a store are found and judged: the demo's bad one from its history, harmless ones not at all."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import DAY_MS, World
from keeprate.deploy.monitor.labels import Admission, fold
from keeprate.deploy.monitor.release_source import gauges
from keeprate.deploy.monitor.releasing import Releases
from keeprate.deploy.releases.judging import Release, ReleaseFinding, find, findings
from keeprate.sinks.closed import batches, release_verdicts
from keeprate.sinks.closed.batches import Count, Labels
from keeprate.sinks.closed.released import by_hour, by_user, successes, tallied
from keeprate.sinks.store.clickhouse import Client
from tests.reading import load, reading

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow]

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 12
END_AT = START_AT + timedelta(days=DAYS)
EVENTS = 30_000


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """The demo's history, whose batches are closed."""
    start_ms = int(START_AT.timestamp() * 1000)
    end_ms = start_ms + DAYS * DAY_MS
    world = World.over(7, start_ms, DAYS)
    with reading() as client:
        load(client, [each.event for each in simulate(world, start_ms, end_ms, EVENTS * 1000 / (DAYS * DAY_MS))])
        for app in ("editor", "support", "repo-agent"):
            for kind in ("generation", f"{batches.RETENTION}600", batches.SIGNAL):
                counts = fold(batches.count(client, kind, app, START_AT, END_AT), Admission())
                batches.store(client, kind, app, START_AT, END_AT, counts)
        yield client


@pytest.fixture(scope="module")
def released(client: Client) -> dict[tuple[str, str], Release]:
    """By app and version."""
    return {(each.app, each.version): each for each in find(client, START_AT, END_AT)}


def by_metric(found: list[ReleaseFinding]) -> dict[tuple[str, int], ReleaseFinding]:
    return {(each.metric.name, each.horizon_s): each for each in found}


def test_each_release_of_the_story_is_found(released: dict[tuple[str, str], Release]) -> None:
    """Three apps brought out a version; models and strategies of context that began with the app are none."""
    assert set(released) == {("editor", "v4"), ("support", "13"), ("repo-agent", "2.1")}
    editor = released["editor", "v4"]
    assert (editor.component, editor.family, editor.predecessor) == (
        "prompt_version",
        ("editor", "inline-completion"),
        "v3",
    )
    assert timedelta(0) < editor.released_at - (START_AT + timedelta(days=DAYS * 0.45)) < timedelta(hours=12)


def test_the_bad_release_is_worse_where_it_is(client: Client, released: dict[tuple[str, str], Release]) -> None:
    """Accepted more, kept less: from five minutes on, and not at thirty seconds."""
    found = by_metric(findings(client, released["editor", "v4"], END_AT))
    verdicts = {key: each.judgement.verdict for key, each in found.items()}
    assert verdicts["retention", 300] == verdicts["retention", 600] == "worse"
    assert verdicts["retention", 30] != "worse"
    assert verdicts["acceptance", 0] != "worse"
    difference = found["retention", 600].comparison.difference
    assert difference is not None
    assert difference.low < -0.25 < difference.high < 0
    assert found["retention", 600].method == "concurrent"


def test_harmless_releases_are_not_worse(client: Client, released: dict[tuple[str, str], Release]) -> None:
    """Both of them are better, by the story."""
    for key in (("support", "13"), ("repo-agent", "2.1")):
        assert {each.judgement.verdict for each in findings(client, released[key], END_AT)} <= {
            "better",
            "same",
            "not_yet",
        }


def test_early_on_nothing_is_claimed(client: Client, released: dict[tuple[str, str], Release]) -> None:
    """An hour after the release no accept is old enough to say much, and what would be seen when is known."""
    release = released["editor", "v4"]
    found = by_metric(findings(client, release, release.released_at + timedelta(hours=1)))
    assert {each.judgement.verdict for each in found.values()} == {"not_yet"}
    assert findings(client, release, release.released_at - timedelta(hours=2)) == []


def test_the_numbers_are_those_of_the_report(client: Client, released: dict[tuple[str, str], Release]) -> None:
    """Counted once: trials and successes of the release add up to the rate that everybody else is shown."""
    from keeprate.sinks.reading import queries
    from keeprate.sinks.reading.scope import Scope

    found = by_metric(findings(client, released["editor", "v4"], END_AT))
    only = {"app": ["editor"], "prompt_version": ["v4"], "prompt_name": ["inline-completion"]}
    scope = Scope(START_AT, END_AT, END_AT, only=only)
    for rate in queries.retention_rates(client, scope, ["fuzzy_persistence_observed"]):
        compared = found["retention", rate.horizon_s].comparison
        assert (compared.new_successes, compared.new_trials) == (rate.numerator, rate.denominator)
    (accepted,) = queries.rates(
        client, Scope(START_AT, END_AT - timedelta(minutes=10), END_AT, only=only), ["acceptance_rate"]
    )
    compared = found["acceptance", 0].comparison
    assert (compared.new_successes, compared.new_trials) == (accepted.numerator, accepted.denominator)


def test_the_monitor_judges_history_at_once_and_keeps_it(client: Client) -> None:
    """A first start has the verdict, exports it, and stores it; a second monitor says the same and adds no row."""
    client.command("TRUNCATE TABLE release_verdicts")
    releases = Releases()
    releases.refresh(client, END_AT)
    samples = {family.name: family.samples for family in gauges(releases)}
    worse = {
        (each.labels["app"], each.labels["prompt_version"], each.labels["metric"])
        for each in samples["keeprate_release_verdict"]
        if each.labels["verdict"] == "worse" and each.value
    }
    assert ("editor", "v4", "retention_10m") in worse
    assert {app for app, _, _ in worse} == {"editor"}
    # Of an app with more horizons than are counted by, those alone are series.
    few = {family.name: family.samples for family in gauges(releases, {"editor": [600]})}["keeprate_release_verdict"]
    told = {(each.labels["app"], each.labels["metric"]) for each in samples["keeprate_release_verdict"]}
    left = told - {(each.labels["app"], each.labels["metric"]) for each in few}
    assert left == {("editor", name) for app, name in told if app == "editor" and name.startswith("retention_")} - {
        ("editor", "retention_10m")
    }
    assert left
    before = release_verdicts.kept(client, START_AT)
    Releases().refresh(client, END_AT)
    assert release_verdicts.kept(client, START_AT) == before
    (kept,) = (each for each in before if (each.version, each.metric, each.horizon_s) == ("v4", "retention", 600))
    assert (kept.verdict, kept.predecessor, kept.family) == ("worse", "v3", "inline-completion")
    assert kept.found_at is not None
    assert kept.released_at < kept.found_at < END_AT


def test_history_has_its_verdict_before_its_batches_are_closed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is counted from suggestions; nothing is said of what only batches know."""
    monkeypatch.setattr(batches, "closed_until", lambda _: {})
    monkeypatch.setattr("keeprate.sinks.closed.released.tallied", lambda *_: {})
    releases = Releases()
    releases.refresh(client, END_AT, dict.fromkeys(("editor", "support", "repo-agent"), END_AT))
    found = {(release.app, release.version): by_metric(each) for release, each in releases.found.items()}
    assert found["editor", "v4"]["retention", 600].judgement.verdict == "worse"
    others = [
        each.judgement.verdict for key in (("support", "13"), ("repo-agent", "2.1")) for each in found[key].values()
    ]
    assert others
    assert "worse" not in others
    assert {metric for each in found.values() for metric, _ in each} == {
        *("acceptance", "retention", "flag", "correction", "negative")
    }


def test_nothing_is_judged_again_while_nothing_closes(client: Client) -> None:
    """A monitor that waits for what lags asks the store for no counts."""
    releases = Releases()
    releases.refresh(client, END_AT)
    found = dict(releases.found)
    client.command("TRUNCATE TABLE release_verdicts")
    releases.refresh(client, END_AT)
    assert releases.found == found
    assert release_verdicts.kept(client, START_AT) == []


@pytest.mark.parametrize(
    ("key", "also"),
    [(("editor", "v4"), {"ttft_over_p95"}), (("support", "13"), {"ttft_over_p95", "judge_grounded"})],
)
def test_batches_and_suggestions_count_alike(
    client: Client,
    released: dict[tuple[str, str], Release],
    key: tuple[str, str],
    also: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By hour and by user: failures, what is slow, slow to begin and dear, what is edited, what a judge says."""
    monkeypatch.setattr("keeprate.sinks.closed.released.ENOUGH", 30)
    release = released[key]
    calls = tallied(client, release.versions, START_AT, END_AT)
    known = successes(calls, release.predecessor, release.released_at)
    sizes = {
        "generation_error",
        "latency_over_p95",
        "cost_over_p95",
        "edit_distance_over_p50",
        "edit_distance_over_p95",
    }
    assert {metric.name for metric in known} == sizes | also
    hours, users = by_hour(calls, known), by_user(client, release.versions, START_AT, END_AT, known)
    sums = [
        {
            (metric.name, version): [sum(numbers) for numbers in zip(*found, strict=True)]
            for metric in known
            for version in (release.version, release.predecessor)
            if (found := [(c.trials, c.successes) for c in counts if (c.metric, c.version) == (metric, version)])
        }
        for counts in (list(hours), list(users))
    ]
    assert len(sums[0]) == 2 * len(known)
    assert sums[0] == sums[1]
    assert all(0 < hits < trials for (trials, hits) in sums[0].values())


CALLS = 40
"""Of each version, in every hour."""
SLOWER_AT = START_AT + timedelta(days=7)


@pytest.mark.parametrize(
    ("kind", "usual", "unusual", "metrics"),
    [
        ("latency", "3", "21", {"latency_over_p95"}),
        ("first_token", "1", "5", {"ttft_over_p95"}),
        ("cost", "0.01", "0.1", {"cost_over_p95"}),
        ("generation", "ok", "timeout", {"generation_error"}),
        ("edit_distance", "0.05", "0.75", {"edit_distance_over_p50", "edit_distance_over_p95"}),
        ("judge_grounded", "correct", "incorrect", {"judge_grounded"}),
        ("judge_score", "0.9", "0.2", {"judge_score"}),
    ],
)
def test_a_release_that_is_worse_in_what_batches_count_is_called_so(
    client: Client, kind: str, usual: str, unusual: str, metrics: set[str]
) -> None:
    """One in twenty of the old version, and one in five of the new one, which took over."""
    app = f"calls-{kind}"
    counts = []
    for hour in range(8 * 24):
        at = START_AT + timedelta(hours=hour)
        labels = Labels(app, "p", "1" if at < SLOWER_AT else "2", "m", "s")
        few = CALLS // 20 if at < SLOWER_AT else CALLS // 5
        counts += [Count(kind, at, labels, usual, CALLS - few), Count(kind, at, labels, unusual, few)]
    end = SLOWER_AT + timedelta(days=1)
    batches.store(client, kind, app, START_AT, end, counts)
    release = Release("prompt_version", (app, "p"), "2", "1", SLOWER_AT, end)
    found = findings(client, release, end)
    assert {each.metric.name for each in found} == metrics
    assert {(each.judgement.verdict, each.method) for each in found} == {("worse", "successor")}
    for each in found:
        difference = each.comparison.difference
        assert difference is not None
        assert min(abs(difference.low), abs(difference.high)) < 0.15 < max(abs(difference.low), abs(difference.high))
    early = findings(client, release, SLOWER_AT + timedelta(hours=1))
    assert {each.judgement.verdict for each in early} == {"not_yet"}
