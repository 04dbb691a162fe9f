"""Which cut explains that series have drifted: what their batches counted since then, against the four weeks before.

By the batches that raised the alarm, so every metric that is watched can be explained, sizes and judges' verdicts too.
A part of a day is compared with the same hours of the days before: nights have a mix of their own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from keeprate.deploy.why.explaining import BEFORE, Explained, Sides, explained
from keeprate.sinks.closed import drift_states, watched
from keeprate.sinks.closed.drift_states import Series, Tallies
from keeprate.sinks.closed.watched import Concern
from keeprate.sinks.reading.cuts import CUTS, CutCount
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client

_HOUR: Final = timedelta(hours=1)
_HOUR_S: Final = 3600
_OF_SERIES: Final = ("app", "prompt_name", "prompt_version", "model")
AGAIN_AFTER: Final = timedelta(hours=1)
"""What explains a cause is asked anew that often: more is known by then."""
MOST: Final = 20
"""Causes that are explained at once."""

Cause = tuple[str, str, Concern]
"""An app, the prompt under which its alarms are told, and which alert tells of them."""


@dataclass(frozen=True)
class SeriesAlarm:
    """A series that got worse: of which cause, with how much evidence, since when, as known up to another time."""

    series: Series
    cause: str
    evidence: float
    since: datetime
    until: datetime

    @property
    def told_as(self) -> Cause:
        return self.series[0], self.cause, watched.named(self.series[4]).concern


@dataclass(frozen=True)
class Drifted:
    """What changed together: a metric of some prompts of an app, since a time, as known up to another."""

    app: str
    prompts: frozenset[str]
    metric: str
    since: datetime
    until: datetime


def together(alarms: Iterable[SeriesAlarm]) -> dict[Cause, Drifted]:
    """What is to be explained of each cause: the metric with most evidence, in all prompts that it is in. Pure."""
    causes: dict[Cause, list[SeriesAlarm]] = defaultdict(list)
    for each in alarms:
        causes[each.told_as].append(each)
    found = {}
    for cause, members in causes.items():
        first = max(members, key=lambda each: (each.evidence, each.series))
        prompts = frozenset(each.series[1] for each in members)
        found[cause] = Drifted(cause[0], prompts, first.series[4], first.since, first.until)
    return found


@dataclass
class Explanations:
    """What explains each cause that stands: asked when it is raised, when it spreads, and now and then after that."""

    found: dict[Cause, Explained] = field(default_factory=dict)
    _asked: dict[Cause, Drifted] = field(default_factory=dict)

    def refresh(self, client: Client, alarms: Iterable[SeriesAlarm]) -> None:
        """Ask what is due, and forget what is over. Raises StoreError."""
        standing = dict(list(together(alarms).items())[:MOST])
        self.found = {cause: explained for cause, explained in self.found.items() if cause in standing}
        self._asked = {cause: asked for cause, asked in self._asked.items() if cause in standing}
        for cause, now in standing.items():
            before = self._asked.get(cause)
            if before and before.prompts == now.prompts and now.until - before.until < AGAIN_AFTER:
                continue
            explained = explain_drift(client, now)
            if explained is not None:
                self.found[cause] = explained
            self._asked[cause] = now


def explain_drift(client: Client, drifted: Drifted) -> Explained | None:
    """Why the metric differs since then; None where a side has nothing. Raises StoreError."""
    closed, kind = watched.closed_as(drifted.metric), watched.kind_of(drifted.metric)
    found = drift_states.tallies(client, closed, drifted.app, drifted.since - BEFORE, drifted.until, _HOUR)
    own = {key: tallies for key, tallies in found.items() if key[4] == kind and key[1] in drifted.prompts}
    scope = Scope(drifted.since - BEFORE, drifted.until, drifted.until)
    return explained(_counts(own, drifted), Sides(scope, drifted.since))


def _counts(found: Tallies, drifted: Drifted) -> Iterator[CutCount]:
    begins = int(drifted.since.timestamp()) // _HOUR_S * _HOUR_S
    windows = [window for tallies in found.values() for window in tallies]
    hours = {_hour(at_s) for at_s, _ in windows if at_s >= begins}
    success = watched.named(drifted.metric).success(window for window in windows if window[0] < begins)
    sums: dict[tuple[bool, Series, str], list[int]] = defaultdict(lambda: [0, 0])
    for series, tallies in found.items():
        known = [window for window in tallies if _hour(window[0]) in hours]
        for at_s, _, _, parts in watched.counted(known, success):
            for stratum, trials, successes in parts:
                own = sums[at_s >= begins, series, stratum]
                own[0] += trials
                own[1] += successes
    for (is_new, series, stratum), (trials, successes) in sums.items():
        labels = dict.fromkeys(CUTS, "") | dict(zip(_OF_SERIES, series, strict=False))
        yield CutCount(is_new, labels | drift_states.parts_of(stratum), trials, successes)


def _hour(at_s: int) -> int:
    return at_s // _HOUR_S % 24
