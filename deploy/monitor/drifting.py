"""The drift detector at work: scores every series' closed batches once, day by day, against that day's baseline.

The baseline of a day is fitted on the 28 days that ended a day before it, so it is a function of closed batches alone:
scoring the same batches again, after a restart or in a second monitor, gives the same states.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from keeprate.deploy.why.drifted import SeriesAlarm
from keeprate.sinks.closed import batches, drift_states, watched
from keeprate.sinks.closed.drift_states import Kept, Series, Standing, TalliedHours, Tallies, Windows
from keeprate.sinks.closed.watched import NONE, Counted, Success
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality import detectable
from keeprate.streams.quality.baseline import DAY_S, HOUR_S, Baseline, fit, inherit
from keeprate.streams.quality.causes import DriftAlarm, cause_of
from keeprate.streams.quality.detector import Evidence, Policy, Side, State, changed_at, evidence_ratio, score_all
from keeprate.streams.quality.odds import rate_of

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

Stage = Literal["warming", "inherited", "own", "frozen", "alarm"]


@dataclass(frozen=True)
class Watched:
    """One series as it stands: its state, and the baseline in use, None while it is warming.

    success: what counts as one in that baseline. last_day: the windows of the day up to the last one. cause: the prompt
    under which its alarm is told; '' where it has not got worse.
    """

    state: State
    baseline: Baseline | None
    baseline_day: datetime
    inherited: bool
    success: Success = NONE
    last_day: tuple[Counted, ...] = ()
    cause: str = ""

    def ratio(self, side: Side, policy: Policy) -> float:
        """The evidence of one side: an alarm from 1 on."""
        return evidence_ratio(self.state.fell if side == "fell" else self.state.rose, policy)

    def stage(self, policy: Policy) -> Stage:
        """Where the series is between its first event and an alarm."""
        highest = max(self.ratio("fell", policy), self.ratio("rose", policy))
        if self.baseline is None:
            return "warming"
        if highest >= 1:
            return "alarm"
        return "frozen" if highest > FROZEN_ABOVE else "inherited" if self.inherited else "own"

    def since(self, metric: str) -> int:
        """When the change for the worse probably began, in seconds since the epoch."""
        return changed_at(getattr(self.state, watched.named(metric).bad))

    def standing(self, metric: str, policy: Policy) -> Standing:
        """Where it stands, in the numbers that are shown."""
        trials = _events(self.last_day)
        successes = sum([successes for _, _, successes, _ in self.last_day])
        if self.baseline is None:
            return Standing("warming", None, trials, successes)
        seen = detectable.smallest(self.baseline, trials, watched.named(metric).bad, policy)
        return Standing(self.stage(policy), rate_of(self.baseline.log_odds), trials, successes, seen)


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
    _closed_until: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    _hours: TalliedHours = field(default_factory=TalliedHours)
    _reference: "Reference | None" = None
    _unkept: dict[Series, Kept] = field(default_factory=dict)
    _restored: bool = False

    def refresh(self, client: Client) -> None:
        """Score what has closed since the last time, and keep the states. Raises StoreError between two days."""
        if not self._restored:
            self._restore(client)
        self._closed_until = batches.closed_until(client)
        for (kind, app), until in self._closed_until.items():
            since = self._scored_until.get((kind, app), until - BACKFILL)
            for begin, end in _days_between(since, until) if watched.kinds(kind) else ():
                self._score(client, kind, app, begin, end)
                self._scored_until[kind, app] = end
            # What could not be kept before is among it.
            drift_states.keep(client, self._unkept.values())
            self._unkept.clear()

    def _restore(self, client: Client) -> None:
        for series, each in sorted(drift_states.kept(client).items(), key=lambda item: (item[0][4], item[0][0])):
            closed, app = watched.closed_as(series[4]), series[0]
            state = State(int(each.last_batch_at.timestamp()), evidence_of(each.fell), evidence_of(each.rose))
            prepared = self._reference_of(client, closed, app, each.baseline_day).watched(series, state)
            self.watched[series] = replace(prepared, cause=each.cause)
            # From the series that is behind: the others skip what they have scored.
            behind = self._scored_until.get((closed, app), each.last_batch_at)
            self._scored_until[closed, app] = min(behind, each.last_batch_at)
        for (closed, app), until in self._scored_until.items():
            self._remember(drift_states.tallies(client, closed, app, until - DAY, until))
        self._restored = True

    def _reference_of(self, client: Client, closed: str, app: str, day: datetime) -> "Reference":
        if self._reference is None or self._reference.of != (closed, app, day):
            since = day - REFERENCE - DAY
            if not self._hours.hold(closed, app, since, day):
                # Of a backlog of days, the hours are asked for once.
                until = max(day, self._closed_until.get((closed, app), day))
                found = drift_states.tallies(client, closed, app, since, until, HOUR)
                self._hours = TalliedHours(closed, app, since, until, found)
            self._reference = Reference((closed, app, day), self._hours.between(since, day))
        return self._reference

    def _score(self, client: Client, closed: str, app: str, begin: datetime, end: datetime) -> None:
        day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        for key, found in drift_states.tallies(client, closed, app, begin, end).items():
            for metric in watched.names(key[4]):
                series = (*key[:4], metric)
                before = self._prepared(client, closed, series, day)
                windows = watched.counted(found, before.success)
                state = _scored(before, windows, self.policy)
                after = replace(before, state=state, last_day=_last_day((*before.last_day, *windows)))
                after = replace(after, cause=self._cause(series, after))
                self.watched[series] = after
                if windows and state.last_batch < windows[-1][0]:
                    # While it is warming nothing is scored; that it was seen is kept all the same.
                    self._unkept[series] = _kept(series, replace(after, state=State(windows[-1][0])), self.policy)
                elif state != before.state:
                    self._unkept[series] = _kept(series, after, self.policy)

    def _prepared(self, client: Client, closed: str, series: Series, day: datetime) -> Watched:
        """The series with the baseline for a day: a new one, unless a change is suspected."""
        before = self.watched.get(series)
        if before is not None and (before.baseline_day >= day or before.stage(self.policy) in ("frozen", "alarm")):
            return before
        fresh = self._reference_of(client, closed, series[0], day).watched(series, before.state if before else State())
        return replace(fresh, last_day=before.last_day if before else ())

    def _cause(self, series: Series, now: Watched) -> str:
        app, prompt, *_, metric = series
        if now.baseline is None or now.ratio(watched.named(metric).bad, self.policy) < 1:
            return ""
        others = (
            DriftAlarm(each.series[1], int(each.since.timestamp()), each.cause)
            for each in self.alarms()
            if each.series[0] == app
        )
        return now.cause or cause_of(prompt, now.since(metric), now.state.last_batch, others)

    def alarms(self) -> Iterator[SeriesAlarm]:
        """The series that got worse and are in use: of one that has closed nothing for a day, it is over."""
        for series, each in self.watched.items():
            if not each.cause:
                continue
            last = datetime.fromtimestamp(each.state.last_batch, UTC)
            until = self._scored_until.get((watched.closed_as(series[4]), series[0]), last)
            if until - last <= DAY:
                since = datetime.fromtimestamp(each.since(series[4]), UTC)
                evidence = each.ratio(watched.named(series[4]).bad, self.policy)
                yield SeriesAlarm(series, each.cause, evidence, since, until)

    def _remember(self, found: Tallies) -> None:
        """Take up the day before a restart: what a series can see depends on its traffic."""
        for key, tallies in found.items():
            for metric in watched.names(key[4]):
                series = (*key[:4], metric)
                if series in self.watched:
                    known = self.watched[series]
                    self.watched[series] = replace(known, last_day=tuple(watched.counted(tallies, known.success)))


@dataclass
class Reference:
    """The hours before a day that baselines are fitted on. of: what closes together, the app and the day."""

    of: tuple[str, str, datetime]
    tallies: Tallies
    _windows: dict[tuple[Series, Success], list[Counted]] = field(default_factory=dict)

    def watched(self, series: Series, state: State) -> Watched:
        """A series with its baseline for the day."""
        metric, kind = watched.named(series[4]), watched.kind_of(series[4])
        family = [key for key in self.tallies if (key[0], key[1], key[4]) == (series[0], series[1], kind)]
        own = self.tallies.get((*series[:4], kind), [])
        # A series that is too young to say what is usual takes that of its prompt, so that its parent's profile fits.
        old = sum(number for _, parts in own for *_, number in parts) >= MIN_EVENTS
        success = metric.success(own if old else [each for key in family for each in self.tallies[key]])
        windows = {(*key[:4], series[4]): self._counted(key, success) for key in family}
        baseline, inherited = chosen(series, windows, self.of[2])
        return Watched(state, baseline, self.of[2], inherited, success)

    def _counted(self, key: tuple[str, str, str, str, str], success: Success) -> list[Counted]:
        if (key, success) not in self._windows:
            self._windows[key, success] = watched.counted(self.tallies[key], success)
        return self._windows[key, success]


def _scored(watched: Watched, found: Iterable[Counted], policy: Policy) -> State:
    if watched.baseline is None:
        return watched.state
    return score_all(watched.state, ((window[0], watched.baseline.scored(window)) for window in found), policy)


def _last_day(windows: Sequence[Counted]) -> tuple[Counted, ...]:
    since = windows[-1][0] - DAY_S if windows else 0
    return tuple(each for each in windows if each[0] > since)


def _days_between(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        yield since, min(midnight, until)
        since = min(midnight, until)


def evidence_of(parts: Sequence[Sequence[float]]) -> Evidence:
    """One side of a kept state."""
    log_r, cusum, since = parts
    return Evidence(tuple(log_r), tuple(cusum), tuple(int(each) for each in since))


def _kept(series: Series, watched: Watched, policy: Policy) -> Kept:
    def parts(evidence: Evidence) -> list[list[float]]:
        return [list(evidence.log_r), list(evidence.cusum), [float(each) for each in evidence.since]]

    state = watched.state
    at = datetime.fromtimestamp(state.last_batch, UTC)
    standing = watched.standing(series[4], policy)
    return Kept(series, at, watched.baseline_day, parts(state.fell), parts(state.rose), standing, watched.cause)
