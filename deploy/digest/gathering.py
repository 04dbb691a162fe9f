"""What a digest has to say, from what the monitor keeps in the store. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.deploy.monitor.drifting import evidence_of
from keeprate.deploy.why import words
from keeprate.deploy.why.drifted import Explanations, SeriesAlarm
from keeprate.sinks.closed import drift_states, release_verdicts, watched
from keeprate.sinks.closed.drift_states import Kept, Level, Series
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality.detector import SIDES, Evidence, Policy, Side, changed_at, evidence_ratio, log_mixture
from keeprate.streams.quality.discoveries import discoveries, e_value

ALPHA: Final = 0.1
"""The share of false entries that a digest may have."""
_SILENT: Final = timedelta(days=2)
"""A series that has closed nothing for so long is over: what it ended with is no news."""


@dataclass(frozen=True)
class Change:
    """A series that has changed. e: its e-value. alarm: its evidence against the page's threshold, 1 is an alarm.

    why: which cut explains most of it and of what changed with it; '' where none does for certain, or another one says.
    """

    series: Series
    side: Side
    since: datetime
    e: float
    alarm: float
    level: Level
    why: str = ""

    @property
    def is_harm(self) -> bool:
        """Whether it went where users would not have it."""
        return self.side == watched.named(self.series[4]).bad


@dataclass(frozen=True)
class Digest:
    """What a digest says.

    series: how many were asked. changes: those that have changed, the strongest first. releases: the verdicts on those
    of the span, the newest first.
    """

    since: datetime
    as_of: datetime
    alpha: float
    series: int
    changes: list[Change]
    releases: list[KeptVerdict]

    @property
    def to_look_at(self) -> list[Change | KeptVerdict]:
        """What somebody should look at: releases that are worse, and changes for the worse."""
        worse = [each for each in self.releases if each.verdict == "worse"]
        return [*worse, *(each for each in self.changes if each.is_harm)]


def gather(client: Client, since: datetime, now: datetime, alpha: float = ALPHA) -> Digest:
    """The digest as of now, with the releases since a time. Raises StoreError."""
    levels = drift_states.levels(client, now)
    kept = {
        series: state
        for series, state in drift_states.kept(client).items()
        if series in levels and state.last_batch_at >= now - _SILENT
    }
    e_values = {
        (series, side): e_value(log_mixture(_evidence(state, side).log_r), levels[series].batches)
        for series, state in kept.items()
        for side in SIDES
    }
    changes = [
        _change(kept[series], side, e_values[series, side], levels[series])
        for series, side in discoveries(e_values, alpha)
    ]
    told = _with_reasons(client, changes, kept)
    return Digest(since, now, alpha, len(kept), told, release_verdicts.kept(client, since))


def _with_reasons(client: Client, changes: Sequence[Change], kept: Mapping[Series, Kept]) -> list[Change]:
    """The changes, of which the strongest of each cause says what explains it."""
    harms = {
        each.series: SeriesAlarm(
            each.series, kept[each.series].cause or each.series[1], each.e, each.since, kept[each.series].last_batch_at
        )
        for each in changes
        if each.is_harm
    }
    explanations = Explanations()
    explanations.refresh(client, harms.values())
    said = {cause: words.leading(found) for cause, found in explanations.found.items()}
    told = []
    for each in changes:
        why = said.pop(harms[each.series].told_as, "") if each.series in harms else ""
        told.append(replace(each, why=why))
    return told


def _change(state: Kept, side: Side, e: float, level: Level) -> Change:
    evidence = _evidence(state, side)
    since = datetime.fromtimestamp(changed_at(evidence), UTC)
    return Change(state.series, side, since, e, evidence_ratio(evidence, Policy()), level)


def _evidence(state: Kept, side: Side) -> Evidence:
    return evidence_of(state.fell if side == "fell" else state.rose)
