"""Series that people have labelled (river ships six of the Turing Change Point Dataset), watched as Keeprate would.

None is of trials. As with latencies, a series becomes two of events, "above the median" and "above the 95th percentile"
of the first observations since its last change: an alarm in either is a change, and both begin anew. The labels were
made with the whole series in view, so covering and F1 (van den Burg and Williams, TCPDBench) are modest for whoever
cannot look ahead.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np

from keeprate.streams.quality.detector import BATCHES_PER_DAY, Policy, State, Stratum, changed_at, evidence_ratio, score
from keeprate.streams.quality.odds import logit, variance_at
from tests.drift import rivals
from tests.drift.worlds import Reals

MARGIN: Final = 5
"""How far from a label a change may be and still be it."""
LEARNT: Final = 20
"""Observations that the median and the percentile rest on."""
QUANTILES: Final = (0.5, 0.95)
APART: Final = 1000
"""Events between two false alarms, of each detector and each of the two series of events."""
Annotations = dict[str, list[int]]


class Watch(Protocol):
    """A detector of one series of events."""

    def since(self, event: int) -> int | None:
        """Where it alarms at this event: how many events ago the change began."""


class Ours:
    """The shipped detector, a trial in every batch."""

    def __init__(self, rate: float) -> None:
        self._log_odds = logit(rate * LEARNT, LEARNT)
        self._margin = (1 / (LEARNT * variance_at(self._log_odds))) ** 0.5
        self._policy = Policy(APART / BATCHES_PER_DAY)
        self._state = State()

    def since(self, event: int) -> int | None:
        """At an evidence of 1 on either side."""
        now = self._state.last_batch + 1
        self._state = score(self._state, now, [Stratum(1, event, self._log_odds, self._margin)], self._policy)
        for side in (self._state.fell, self._state.rose):
            if evidence_ratio(side, self._policy) >= 1:
                return now - changed_at(side)
        return None


class Focus:
    """FOCuS with the rate that the percentile should have, and a threshold from simulation."""

    def __init__(self, rate: float) -> None:
        self._rate, self._events = np.array([rate]), np.empty((1, 0), np.int64)
        self._threshold = focus_threshold(rate)

    def since(self, event: int) -> int | None:
        """The event before which the likelihood ratio of all that followed is largest."""
        self._events = np.append(self._events, [[event]], axis=1)
        if rivals.focus(np.ones_like(self._events), self._events, self._rate)[0, -1] < self._threshold:
            return None
        backwards = self._events[0, ::-1].cumsum()
        count = np.arange(1, len(backwards) + 1)
        rate, known = np.clip(backwards / count, 1e-9, 1 - 1e-9), float(self._rate[0])
        ratio = backwards * np.log(rate / known) + (count - backwards) * np.log((1 - rate) / (1 - known))
        return int(ratio.argmax())


class Adwin:
    """river's ADWIN with its own settings."""

    def __init__(self, rate: float) -> None:
        from river.drift import ADWIN

        del rate
        new: Any = ADWIN
        self._detector = new()

    def since(self, event: int) -> int | None:
        """What it keeps of its window began at the change."""
        self._detector.update(event)
        return int(self._detector.width) - 1 if self._detector.drift_detected else None


class Nobody:
    """Sees no change."""

    def __init__(self, rate: float) -> None:
        del rate

    def since(self, event: int) -> int | None:
        """Never."""
        del event
        return None


DETECTORS: Final[dict[str, Callable[[float], Watch]]] = {
    "Keeprate": Ours,
    "FOCuS": Focus,
    "ADWIN": Adwin,
    "no change at all": Nobody,
}


@cache
def focus_threshold(rate: float) -> float:
    """Of FOCuS: with one false alarm in so many events at this rate."""
    events = (np.random.default_rng(1).random((200, 2 * APART)) < rate).astype(np.int64)
    found = rivals.focus(np.ones_like(events), events, np.full(200, rate))
    # Twice as many pass without an alarm in exp(-2) of all cases.
    return float(np.quantile(found.max(1), np.exp(-2)))


def changes(values: Sequence[float], detector: Callable[[float], Watch]) -> list[int]:
    """Where a detector sees the changes of a series, each dated by it."""
    found: list[int] = []
    begin = 0
    while begin + LEARNT < len(values):
        known = np.quantile(values[begin : begin + LEARNT], QUANTILES)
        watches = [detector(1 - each) for each in QUANTILES]
        for at in range(begin + LEARNT, len(values)):
            ages = [watch.since(int(values[at] > limit)) for watch, limit in zip(watches, known, strict=True)]
            if any(age is not None for age in ages):
                changed = at - max(age for age in ages if age is not None)
                begin = max(changed, begin + 1)
                found.append(begin)
                break
        else:
            break
    return found


def f1(annotations: Annotations, changed: Sequence[int]) -> float:
    """Precision against all labels together, recall as the mean of the annotators'; the beginning is a change."""
    predicted = {0, *changed}
    labelled = [{0, *each} for each in annotations.values()]
    precision = len(_hits(set().union(*labelled), predicted)) / len(predicted)
    recall = sum(len(_hits(each, predicted)) / len(each) for each in labelled) / len(labelled)
    return 2 * precision * recall / (precision + recall)


def covering(annotations: Annotations, changed: Sequence[int], length: int) -> float:
    """How well the segments cover those of the annotators (Jaccard, by length), as the mean of them."""
    predicted = _segments(changed, length)
    total = 0.0
    for each in annotations.values():
        for begin, end in _segments(each, length):
            best = max(
                max(0, min(end, stop) - max(begin, start)) / (max(end, stop) - min(begin, start))
                for start, stop in predicted
            )
            total += (end - begin) * best / length
    return total / len(annotations)


def _hits(labels: set[int], predicted: set[int]) -> set[int]:
    left, found = set(predicted), set()
    for label in sorted(labels):
        near = sorted((abs(label - each), each) for each in left if abs(label - each) <= MARGIN)
        if near:
            left.remove(near[0][1])
            found.add(label)
    return found


def _segments(changed: Sequence[int], length: int) -> list[tuple[int, int]]:
    ends = sorted({0, *(each for each in changed if 0 < each < length), length})
    return list(pairwise(ends))


def series() -> Iterator[tuple[str, list[float], Annotations]]:
    """The labelled series: one value each of those that have several. Raises ImportError without river.

    Brent's is left out: the labels are of a thinned series, and not of this one.
    """
    from river.drift import datasets

    for name, value, every in (
        ("AirlinePassengers", None, 1),
        ("Apple", "Close", 3),
        ("Bitcoin", None, 1),
        ("Occupancy", "V3", 1),
        ("RunLog", "Pace", 1),
        ("UKCoalEmploy", None, 1),
    ):
        found = getattr(datasets, name)()
        values = [float(target[value] if value else target) for _, target in found]
        yield name, values[::every], found.annotations


def table() -> list[tuple[str, ...]]:
    """Covering and F1 of every detector on every series."""
    rows: list[tuple[str, ...]] = [("covering · F1", *DETECTORS)]
    scores: dict[str, list[tuple[float, float]]] = {each: [] for each in DETECTORS}
    for name, values, annotations in series():
        for each, detector in DETECTORS.items():
            found = changes(values, detector)
            scores[each].append((covering(annotations, found, len(values)), f1(annotations, found)))
        rows.append((name, *(_pair(scores[each][-1]) for each in DETECTORS)))
    means = {each: np.mean(np.array(found), axis=0) for each, found in scores.items()}
    return [*rows, ("mean", *(_pair(means[each]) for each in DETECTORS))]


def _pair(found: "tuple[float, float] | Reals") -> str:
    return f"{found[0]:.2f} · {found[1]:.2f}"
