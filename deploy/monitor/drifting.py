"""The drift detector at work: scores every series' closed batches once, day by day, against that day's baseline.

The baseline of a day is fitted on the 28 days that ended a day before it, so it is a function of closed batches alone:
scoring the same batches again, after a restart or in a second monitor, gives the same states.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from keeprate.sinks.closed import batches, drift_states
from keeprate.sinks.closed.drift_states import Counted, Kept, Series, Windows
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality.baseline import DAY_S, HOUR_S, Baseline, fit, inherit
from keeprate.streams.quality.detector import Evidence, Policy, Side, State, evidence_ratio, score

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
REFERENCE: Final = timedelta(days=28)
BACKFILL: Final = timedelta(days=7)
"""How far back a first run scores."""
MIN_EVENTS: Final = 300
FROZEN_ABOVE: Final = 0.1
"""While a change is suspected, the baseline must not learn it."""
_OWN_DAYS: Final = 14
_ALONE_DAYS: Final = 4
_PRIOR_DISPERSION: Final = 1.5

Standing = Literal["warming", "inherited", "own", "frozen", "alarm"]


@dataclass(frozen=True)
class Watched:
    """One series as it stands: its state, and the baseline in use, None while it is warming."""

    state: State
    baseline: Baseline | None
    baseline_day: datetime
    inherited: bool

    def ratio(self, side: Side, policy: Policy) -> float:
        """The evidence of one side: an alarm from 1 on."""
        return evidence_ratio(self.state.fell if side == "fell" else self.state.rose, policy)

    def standing(self, policy: Policy) -> Standing:
        """Where the series is between its first event and an alarm."""
        highest = max(self.ratio("fell", policy), self.ratio("rose", policy))
        if self.baseline is None:
            return "warming"
        if highest >= 1:
            return "alarm"
        return "frozen" if highest > FROZEN_ABOVE else "inherited" if self.inherited else "own"


def chosen(series: Series, reference: Windows, day: datetime) -> tuple[Baseline | None, bool]:
    """The baseline of a series for a day, and whether its profile is its prompt's.

    reference: closed batches of the 29 days before the day, by the hour. A series' own 28 days that ended a day before,
    where it is two weeks old; else its own level of at least a day, with the profile of its prompt, or alone after four
    days.
    """
    day_s = int(day.timestamp())
    own = reference.get(series, [])
    old = [each for each in own if each[0] < day_s - DAY_S]
    if _days(old) >= _OWN_DAYS and _events(old) >= MIN_EVENTS:
        return fit(old), False
    if _days(own) < 1 or _events(own) < MIN_EVENTS:
        return None, False
    family = [each for each in _family(series, reference) if each[0] < day_s - DAY_S]
    parent = fit(family) if _events(family) >= MIN_EVENTS else None
    if parent is not None:
        return inherit(parent, own), True
    alone = fit(own) if _days(own) >= _ALONE_DAYS else None
    # A short history cannot tell how much a series wanders: assume some.
    return alone and replace(alone, dispersion=max(alone.dispersion, _PRIOR_DISPERSION)), False


def _family(series: Series, reference: Windows) -> list[Counted]:
    return [
        each
        for (app, prompt, *_, metric), windows in reference.items()
        if (app, prompt, metric) == (series[0], series[1], series[4])
        for each in windows
    ]


def _days(windows: Sequence[Counted]) -> float:
    return (windows[-1][0] - windows[0][0] + HOUR_S) / DAY_S if windows else 0.0


def _events(windows: Sequence[Counted]) -> int:
    return sum([trials for _, trials, _, _ in windows])


@dataclass
class Detector:
    """Every series of the store's batches. Holds what it read; the store holds what must not be lost."""

    policy: Policy = field(default_factory=Policy)
    watched: dict[Series, Watched] = field(default_factory=dict)
    _scored_until: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _reference: tuple[str, str, datetime, Windows] | None = None
    _restored: bool = False

    def refresh(self, client: Client) -> None:
        """Score what has closed since the last time, and keep the states. Raises StoreError between two days."""
        if not self._restored:
            self._restore(client)
        for (kind, app), until in batches.closed_until(client).items():
            since = self._scored_until.get((kind, app), until - BACKFILL)
            for begin, end in _days_between(since, until) if drift_states.is_watched(kind) else ():
                self._score(client, kind, app, begin, end)
                self._scored_until[kind, app] = end

    def _restore(self, client: Client) -> None:
        for series, each in sorted(drift_states.kept(client).items(), key=lambda item: (item[0][4], item[0][0])):
            kind, app = _kind_of(series), series[0]
            state = State(int(each.last_batch_at.timestamp()), evidence_of(each.fell), evidence_of(each.rose))
            reference = self._windows_before(client, kind, app, each.baseline_day)
            baseline, inherited = chosen(series, reference, each.baseline_day)
            self.watched[series] = Watched(state, baseline, each.baseline_day, inherited)
            # From the series that is behind: the others skip what they have scored.
            behind = self._scored_until.get((kind, app), each.last_batch_at)
            self._scored_until[kind, app] = min(behind, each.last_batch_at)
        self._restored = True

    def _windows_before(self, client: Client, kind: str, app: str, day: datetime) -> Windows:
        if self._reference is None or self._reference[:3] != (kind, app, day):
            found = drift_states.windows(client, kind, app, day - REFERENCE - DAY, day, HOUR)
            self._reference = kind, app, day, found
        return self._reference[3]

    def _score(self, client: Client, kind: str, app: str, begin: datetime, end: datetime) -> None:
        day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        changed = []
        for series, found in drift_states.windows(client, kind, app, begin, end).items():
            before = self._prepared(client, kind, series, day)
            after = replace(before, state=_scored(before, found, self.policy))
            self.watched[series] = after
            if after.state != before.state:
                changed.append(_kept(series, after))
        drift_states.keep(client, changed)

    def _prepared(self, client: Client, kind: str, series: Series, day: datetime) -> Watched:
        """The series with the baseline for a day: a new one, unless a change is suspected."""
        before = self.watched.get(series)
        if before is not None and (before.baseline_day >= day or before.standing(self.policy) in ("frozen", "alarm")):
            return before
        baseline, inherited = chosen(series, self._windows_before(client, kind, series[0], day), day)
        return Watched(before.state if before else State(), baseline, day, inherited)


def _scored(watched: Watched, found: Iterable[Counted], policy: Policy) -> State:
    state = watched.state
    if watched.baseline is None:
        return state
    for window in found:
        state = score(state, window[0], watched.baseline.scored(window), policy)
    return state


def _kind_of(series: Series) -> str:
    return "generation" if series[4] == drift_states.ERRORS else series[4]


def _days_between(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        yield since, min(midnight, until)
        since = min(midnight, until)


def evidence_of(parts: Sequence[Sequence[float]]) -> Evidence:
    """One side of a kept state."""
    log_r, cusum, since = parts
    return Evidence(tuple(log_r), tuple(cusum), tuple(int(each) for each in since))


def _kept(series: Series, watched: Watched) -> Kept:
    def parts(evidence: Evidence) -> list[list[float]]:
        return [list(evidence.log_r), list(evidence.cusum), [float(each) for each in evidence.since]]

    state = watched.state
    at = datetime.fromtimestamp(state.last_batch, UTC)
    return Kept(series, at, watched.baseline_day, parts(state.fell), parts(state.rose))
