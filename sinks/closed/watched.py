"""What the detector watches, each metric once: of which batches, what is a success, and where it gets worse.

Where a metric is a size (seconds, a share of a text, a price), a success is one above the bound of the histogram
that is nearest to the reference's median or ninety-fifth percentile: so one engine for rates serves sizes too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, log
from typing import Final, Literal

from keeprate.sinks.closed.batches import COST_BOUNDS_USD, LATENCY_BOUNDS_S, RATIO_BOUNDS, RETENTION
from keeprate.sinks.closed.signals import JUDGE, SIGNALS

Concern = Literal["quality", "harm", "latency", "cost"]
Direction = Literal["fell", "rose"]

Tally = tuple[int, tuple[tuple[str, str, int], ...]]
"""A window: when it began (seconds since the epoch), and of each stratum and outcome how many."""
Counted = tuple[int, int, int, tuple[tuple[str, int, int], ...]]
"""When a window began, its trials and its successes, and these by stratum."""

_NO_TRIAL: Final = frozenset(("closed", "unknown", "cancelled"))
_BOUNDS: Final = {
    "latency": LATENCY_BOUNDS_S,
    "first_token": LATENCY_BOUNDS_S,
    "edit_distance": RATIO_BOUNDS,
    "cost": COST_BOUNDS_USD,
}


@dataclass(frozen=True)
class Success:
    """Which outcomes of a trial are successes: those that are named, or those of a number above a bound."""

    outcomes: frozenset[str] = frozenset()
    above: float = inf

    def holds(self, outcome: str) -> bool:
        return outcome in self.outcomes or (self.above < inf and _number(outcome) > self.above)


NONE: Final = Success()


@dataclass(frozen=True)
class WatchedMetric:
    """A rate that the detector watches.

    name: the label's value; that of a family (retention_, judge_) is followed by its member. kind: of its batches.
    words: what an alert calls it. concern: which alert tells of it. bad: the direction in which it gets worse.
    outcomes: its successes; where there are none, they follow from the reference: those above a quantile of sizes, or
    the usual answer of a judge.
    """

    name: str
    kind: str
    words: str
    concern: Concern
    bad: Direction
    outcomes: frozenset[str] = field(default=frozenset())
    quantile: float = 0.5

    def success(self, reference: Iterable[Tally]) -> Success:
        """What counts as a success against this reference."""
        if self.outcomes:
            return Success(self.outcomes)
        found: Counter[str] = Counter()
        for _, parts in reference:
            for _, outcome, number in parts:
                found[outcome] += number
        if self.kind in _BOUNDS:
            return Success(above=_bound(found, self.quantile, _BOUNDS[self.kind]))
        values = {outcome: _number(outcome) for outcome in found}
        if found and all(value > -inf for value in values.values()):
            return Success(above=_bound(found, self.quantile, sorted(values.values())[:-1] or [*values.values()]))
        return Success(frozenset(outcome for outcome, _ in found.most_common(1)))


def _metric(
    name: str, kind: str, words: str, concern: Concern, bad: Direction, *outcomes: str, at: float = 0.5
) -> WatchedMetric:
    return WatchedMetric(name, kind, words, concern, bad, frozenset(outcomes), at)


METRICS: Final = (
    _metric("acceptance", "acceptance", "acceptance", "quality", "fell", "accepted"),
    _metric(RETENTION, RETENTION, "what is kept", "quality", "fell", "retained"),
    _metric(JUDGE, JUDGE, "a judge's usual verdict", "quality", "fell"),
    _metric("flag", "flag", "flags", "harm", "rose", "yes"),
    _metric("correction", "correction", "corrections", "harm", "rose", "yes"),
    _metric("negative", "negative", "negative feedback", "harm", "rose", "yes"),
    _metric("generation_error", "generation", "the share of failed generations", "harm", "rose", "error", "timeout"),
    _metric("edit_distance_over_p50", "edit_distance", "how much is edited", "harm", "rose"),
    _metric("edit_distance_over_p95", "edit_distance", "the share that is rewritten", "harm", "rose", at=0.95),
    _metric("latency_over_p50", "latency", "latency", "latency", "rose"),
    _metric("latency_over_p95", "latency", "the share of slow generations", "latency", "rose", at=0.95),
    _metric("ttft_over_p95", "first_token", "the share that is slow to begin", "latency", "rose", at=0.95),
    _metric("cost_over_p95", "cost", "the share of dear generations", "cost", "rose", at=0.95),
)
_FAMILIES: Final = (RETENTION, JUDGE)
CLOSED_AS: Final = {
    "generation": ("generation", "latency", "first_token", "cost"),
    "acceptance": ("acceptance",),
    "signal": SIGNALS,
}
"""By what closes: the kinds that are watched of it."""


def kinds(closed: str) -> tuple[str, ...]:
    """The kinds of batches that close as this one and are watched; none where the detector does not look at it."""
    if closed.startswith(RETENTION):
        return closed, *(("edit_distance",) if closed == f"{RETENTION}600" else ())
    return CLOSED_AS.get(closed, ())


def closed_as(metric: str) -> str:
    """As what the batches of a metric close."""
    kind = kind_of(metric)
    if kind == "edit_distance":
        return f"{RETENTION}600"
    if kind.startswith(JUDGE):
        return "signal"
    return next((closed for closed, own in CLOSED_AS.items() if kind in own), kind)


def names(kind: str) -> list[str]:
    """The metrics of a kind of batches, as series are named by them."""
    return [
        kind if each.kind in _FAMILIES else each.name
        for each in METRICS
        if each.kind == kind or (each.kind in _FAMILIES and kind.startswith(each.kind))
    ]


def named(metric: str) -> WatchedMetric:
    """The metric of a series. Raises StopIteration for what is none."""
    return next(
        each for each in METRICS if each.name == metric or (each.kind in _FAMILIES and metric.startswith(each.kind))
    )


def kind_of(metric: str) -> str:
    """The kind of batches that a series' metric is counted from."""
    found = named(metric)
    return metric if found.kind in _FAMILIES else found.kind


def counted(windows: Sequence[Tally], success: Success) -> list[Counted]:
    """The windows as trials and successes, whole and by stratum."""
    return list(_counted(windows, success))


def _counted(windows: Iterable[Tally], success: Success) -> Iterator[Counted]:
    holds: dict[str, bool] = {}
    for at_s, parts in windows:
        strata: dict[str, list[int]] = {}
        for stratum, outcome, number in parts:
            if outcome not in _NO_TRIAL:
                if outcome not in holds:
                    holds[outcome] = success.holds(outcome)
                sums = strata.setdefault(stratum, [0, 0])
                sums[0] += number
                sums[1] += number * holds[outcome]
        if strata:
            whole = (sum(n for n, _ in strata.values()), sum(s for _, s in strata.values()))
            yield at_s, *whole, tuple((name, n, s) for name, (n, s) in strata.items())


def _bound(found: Counter[str], quantile: float, bounds: Sequence[float]) -> float:
    """The bound above which the share that lies there is nearest to that of a quantile, in log odds."""
    numbers = [(_number(outcome), number) for outcome, number in found.items()]
    whole = sum(number for _, number in numbers)
    wanted = log((1 - quantile) / quantile)

    def miss(bound: float) -> float:
        above = sum(number for value, number in numbers if value > bound)
        return abs(log((above + 0.5) / (whole - above + 0.5)) - wanted)

    return min(bounds, key=miss)


def _number(outcome: str) -> float:
    """A size; minus infinity for what is none."""
    try:
        return float(outcome)
    except ValueError:
        return -inf
