"""Finding the releases of a store, and judging them: reads counts, asks the pure tests, keeps nothing.

Where the predecessor goes on beside the new version, the two are compared hour by hour; where it was replaced, the new
one is compared with what its predecessor did before.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.sinks.closed import released
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.closed.released import Successes
from keeprate.sinks.reading import versions
from keeprate.sinks.reading.versions import HOUR_S, Component, RatedMetric, ReleaseMetric, VersionCount, Versions
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality import concurrent, successor
from keeprate.streams.quality.baseline import Window
from keeprate.streams.quality.concurrent import Hour, UserTrials
from keeprate.streams.quality.detector import Side
from keeprate.streams.quality.evidence import Comparison, Promise
from keeprate.streams.quality.predecessor import BEFORE_S, KNOWN_FOR_S, Traffic, replacements
from keeprate.streams.quality.verdict import ReleaseJudgement, judge

JUDGED_FOR: Final = timedelta(days=28)
"""From its first event on. After that a version is its own measure, and the drift detector watches it."""
BEFORE: Final = timedelta(days=28)
"""How far back what a predecessor did is read."""
SHARED: Final = 0.1
"""From this share on of both versions' traffic since the release, the predecessor counts as going on beside it."""
LOOK_BACK: Final = timedelta(days=63)
"""How far back versions to compare are looked for."""
METRICS: Final[tuple[ReleaseMetric, ...]] = (*versions.METRICS, *released.METRICS)
"""What every release is judged in, in the order in which it is told; what judges say comes after it."""
COMPONENTS: Final[tuple[Component, ...]] = ("prompt_version", "model", "context_strategy")

Key = tuple[ReleaseMetric, int]
"""A metric, and its horizon in seconds; 0 where it has none."""


@dataclass(frozen=True)
class Release:
    """A version that replaced another. family: the values of the dimensions that both are of, the app first.

    last_at: an hour in which it was used; none later is known.
    """

    component: Component
    family: tuple[str, ...]
    version: str
    predecessor: str
    released_at: datetime
    last_at: datetime

    @property
    def app(self) -> str:
        return self.family[0]

    @property
    def versions(self) -> Versions:
        return Versions(self.component, self.family, (self.version, self.predecessor))


@dataclass(frozen=True)
class ReleaseFinding:
    """One metric of a release: the counts, what they say, and how it was found out.

    trials_per_day: of the new version lately, which says how long what is left takes.
    """

    release: Release
    metric: ReleaseMetric
    horizon_s: int
    method: str
    comparison: Comparison
    judgement: ReleaseJudgement
    trials_per_day: float
    log_threshold: float
    as_of: datetime

    @property
    def days_left(self) -> float | None:
        """Until a version that is a tenth worse would be seen, at this traffic; None for never."""
        left = self.judgement.trials_left
        return None if left is None or (left and not self.trials_per_day) else left and left / self.trials_per_day

    @property
    def kept(self) -> KeptVerdict:
        """What of it is kept in the store, and shown."""
        release, compared, judged = self.release, self.comparison, self.judgement
        difference = compared.difference
        return KeptVerdict(
            app=release.app,
            component=release.component,
            family="".join(release.family[1:]),
            version=release.version,
            predecessor=release.predecessor,
            released_at=release.released_at,
            metric=self.metric.name,
            horizon_s=self.horizon_s,
            method=self.method,
            new_trials=compared.new_trials,
            new_successes=compared.new_successes,
            old_trials=compared.old_trials,
            old_successes=compared.old_successes,
            difference=difference.value if difference else None,
            low=difference.low if difference else None,
            high=difference.high if difference else None,
            fell=judged.fell,
            rose=judged.rose,
            p_value=judged.p_value,
            verdict=judged.verdict,
            found_at=datetime.fromtimestamp(judged.found_at_s, UTC) if judged.found_at_s else None,
            days_left=self.days_left,
            as_of=self.as_of,
        )


def find(client: Client, since: datetime, until: datetime) -> list[Release]:
    """The releases of a span, the oldest first. Raises StoreError."""
    found = []
    look_back = since - BEFORE - timedelta(seconds=BEFORE_S + KNOWN_FOR_S)
    for component in COMPONENTS:
        traffic = [Traffic(*each) for each in versions.traffic(client, component, look_back, until)]
        for each in replacements(traffic):
            if each.at_s + HOUR_S > since.timestamp():
                own = Versions(component, each.family, (each.version,))
                at = versions.first_at(client, own, each.at_s)
                last_at = datetime.fromtimestamp(each.last_at_s, UTC)
                found.append(Release(component, each.family, each.version, each.predecessor, at, last_at))
    return sorted((each for each in found if each.released_at >= since), key=lambda each: each.released_at)


def between(client: Client, app: str, prompt: str, old: str, new: str, as_of: datetime) -> Release:
    """Two versions of a prompt, as if one had replaced the other. Raises StoreError; ValueError for none."""
    rows = versions.traffic(client, "prompt_version", as_of - LOOK_BACK, as_of)
    hours: dict[str, list[int]] = defaultdict(list)
    for family, version, at_s, number in rows:
        if family == (app, prompt) and number:
            hours[version].append(at_s)
    for version in (old, new):
        if version not in hours:
            known = ", ".join(sorted(filter(None, hours))) or "none; keeprate report --by app,prompt_name lists what is"
            raise ValueError(f"{version}: no version of {app} {prompt} within {LOOK_BACK.days} days; there is {known}")
    later = max((old, new), key=lambda each: min(hours[each]))
    at = versions.first_at(client, Versions("prompt_version", (app, prompt), (later,)), min(hours[later]))
    last_at = datetime.fromtimestamp(max(hours[new]), UTC)
    return Release("prompt_version", (app, prompt), new, old, at, last_at)


def findings(client: Client, release: Release, as_of: datetime, promise: Promise | None = None) -> list[ReleaseFinding]:
    """What is known of a release as of a time: a finding for each metric and horizon that it has. Raises StoreError."""
    hour = datetime.fromtimestamp(release.released_at.timestamp() // HOUR_S * HOUR_S, UTC)
    until = min(as_of, release.released_at + JUDGED_FOR)
    if until <= hour:
        return []
    found, successes = _by_hour(client, release, hour, until, as_of)
    after = [each for each in found if each.at_s >= hour.timestamp()]
    before = [each for each in found if each.at_s < hour.timestamp() and each.version == release.predecessor]
    together = goes_on(after, release)
    people = _by_user(client, release, hour, until, as_of, successes) if together else []
    compared = _compared(release, after, before, people, together)
    days = max((until - hour).total_seconds(), HOUR_S) / 86_400
    promise = Promise(**{**vars(promise or Promise()), "metrics": max(1, len(compared))})
    return [
        ReleaseFinding(
            release,
            *key,
            "concurrent" if together else "successor",
            each,
            judge(each, promise, _bad(key[0])),
            each.new_trials / days,
            promise.log_threshold,
            as_of,
        )
        for key, each in compared.items()
    ]


def _by_hour(
    client: Client, release: Release, since: datetime, until: datetime, as_of: datetime
) -> tuple[list[VersionCount], Successes]:
    """The counts of both versions, also of before they were compared, and what was a success of a call."""
    calls = released.tallied(client, release.versions, since - BEFORE, until)
    successes = released.successes(calls, release.predecessor, since)
    rated = versions.by_hour(client, release.versions, since - BEFORE, until, as_of)
    return [*rated, *released.by_hour(calls, successes)], successes


def _by_user(
    client: Client, release: Release, since: datetime, until: datetime, as_of: datetime, known: Successes
) -> list[VersionCount]:
    rated = versions.by_user(client, release.versions, since, until, as_of)
    return [*rated, *released.by_user(client, release.versions, since, until, known)]


def _compared(
    release: Release,
    after: Sequence[VersionCount],
    before: Sequence[VersionCount],
    people: Sequence[VersionCount],
    together: bool,
) -> dict[Key, Comparison]:
    """Each metric and horizon, in the order in which they are told. Pure."""
    parts, old, persons = _by_metric(after), _by_metric(before), _by_metric(people)
    compared = {}
    for key in sorted(parts, key=_place):
        if together:
            compared[key] = _side_by_side(parts[key], persons.get(key, ()), release, _bad(key[0]))
        else:
            own = _of(parts[key], release)
            compared[key] = successor.compare(_windows(old.get(key, ())), _windows(own), HOUR_S, _bad(key[0]))
    return compared


def _place(key: Key) -> tuple[int, str, int]:
    metric, horizon_s = key
    return (METRICS.index(metric) if metric in METRICS else len(METRICS)), metric.name, horizon_s


def _bad(metric: ReleaseMetric) -> Side:
    return "fell" if metric.more_is_better else "rose"


def users(client: Client, release: Release, as_of: datetime) -> tuple[int, int]:
    """How many known users were shown the new version since the release, and how many the old one."""
    counts = versions.by_user(client, release.versions, release.released_at, as_of, as_of)
    shown = {(each.version, each.user) for each in counts}
    numbers = [sum(version == name for version, _ in shown) for name in (release.version, release.predecessor)]
    return numbers[0], numbers[1]


def goes_on(after: Iterable[VersionCount], release: Release) -> bool:
    """Whether the predecessor has a part of the traffic since the release.

    By what is counted from suggestions: batches that closed before a release was told of know nothing of it.
    """
    trials = {release.version: 0, release.predecessor: 0}
    for each in after:
        if isinstance(each.metric, RatedMetric):
            trials[each.version] += each.trials
    return trials[release.predecessor] >= SHARED * sum(trials.values()) > 0


def _by_metric(counts: Iterable[VersionCount]) -> dict[Key, list[VersionCount]]:
    found: dict[Key, list[VersionCount]] = defaultdict(list)
    for each in counts:
        found[each.metric, each.horizon_s].append(each)
    return found


def _of(counts: Iterable[VersionCount], release: Release) -> list[VersionCount]:
    return [each for each in counts if each.version == release.version]


def _windows(counts: Iterable[VersionCount]) -> list[Window]:
    return [Window(each.at_s, each.trials, each.successes) for each in counts]


def _side_by_side(
    counts: Iterable[VersionCount], people: Iterable[VersionCount], release: Release, bad: Side
) -> Comparison:
    hours = [Hour(int(at) + HOUR_S, *sums) for at, sums in sorted(_paired(counts, release, "at_s").items())]
    persons = [UserTrials(*sums) for sums in _paired(people, release, "user").values()]
    return concurrent.compare(hours, concurrent.design_effect(persons), bad)


def _paired(counts: Iterable[VersionCount], release: Release, by: str) -> dict[int | str, list[int]]:
    """New trials and successes, then old ones, of each hour or user."""
    sums: dict[int | str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for each in counts:
        at = 0 if each.version == release.version else 2
        sums[getattr(each, by)][at] += each.trials
        sums[getattr(each, by)][at + 1] += each.successes
    return sums
