"""How well raters agree: shares, Cohen's kappa and Krippendorff's alpha, each with its 95 % interval. Pure.

Own code, because the libraries that have them bring numpy or more into a page that needs neither. The tests have the
published examples.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import sqrt

from keeprate.sinks.reading.rates import Z, wilson

_NO_SPREAD = 1e-6
"""A standard error below this is 0, but for what rounding leaves of a variance whose parts cancel."""

Pairs = Mapping[tuple[str, str], int]
"""How often one rater said the first label where the other said the second."""
Unit = tuple[tuple[Hashable, int], ...]
"""How many raters gave each label to one suggestion, by label."""


@dataclass(frozen=True)
class Agreeing:
    """A number with its 95 % interval, of so many suggestions. value: None where it is not defined.

    low, high: None where there is too little to say anything.
    """

    value: float | None
    low: float | None
    high: float | None
    items: int


def share(part: int, whole: int) -> Agreeing:
    """A share with Wilson's interval; not defined of nothing."""
    if not whole:
        return Agreeing(None, None, None, 0)
    return Agreeing(part / whole, *wilson(part / whole, whole), whole)


def kappa(pairs: Pairs) -> Agreeing:
    """Cohen's kappa (Educational and Psychological Measurement 20, 1960) of two raters.

    The interval is by its large-sample standard error (Fleiss, Cohen & Everitt, Psychological Bulletin 72, 1969). Not
    defined where both say one and the same label throughout: then chance alone would agree as well.
    """
    items = sum(pairs.values())
    if not items:
        return Agreeing(None, None, None, 0)
    first, second = _margins(pairs, items)
    observed = sum(number for (a, b), number in pairs.items() if a == b) / items
    expected = sum(part * second[label] for label, part in first.items())
    if expected >= 1 - 1e-12:
        return Agreeing(None, None, None, items)
    value = (observed - expected) / (1 - expected)
    error = _kappa_error(pairs, items, value, expected)
    return _estimate(value, error, items, expected)


def _margins(pairs: Pairs, items: int) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """The share of each label, of the first rater and of the second."""
    first: dict[str, float] = defaultdict(float)
    second: dict[str, float] = defaultdict(float)
    for (a, b), number in pairs.items():
        first[a] += number / items
        second[b] += number / items
    return first, second


def _kappa_error(pairs: Pairs, items: int, value: float, expected: float) -> float:
    first, second = _margins(pairs, items)
    rest = 1 - value
    agreed = sum(
        number / items * (1 - (first[a] + second[a]) * rest) ** 2 for (a, b), number in pairs.items() if a == b
    )
    apart = rest**2 * sum(number / items * (second[a] + first[b]) ** 2 for (a, b), number in pairs.items() if a != b)
    variance = agreed + apart - (value - expected * rest) ** 2
    return sqrt(max(0.0, variance)) / ((1 - expected) * sqrt(items))


def alpha(units: Mapping[Unit, int]) -> Agreeing:
    """Krippendorff's alpha for labels without an order (Computing Krippendorff's Alpha-Reliability, 2011).

    units: how many suggestions were given labels so; those with one label only compare with nothing and are left out.
    Raters may differ from one suggestion to the next. The interval is by the jackknife over suggestions, because
    labels of one suggestion are no independent observations. Not defined where all labels are one.
    """
    kinds = {unit: number for unit, number in units.items() if number and _size(unit) > 1}
    items = sum(kinds.values())
    if not items:
        return Agreeing(None, None, None, 0)
    labels: Counter[Hashable] = Counter()
    disagreement = 0.0
    for unit, number in kinds.items():
        disagreement += number * _disagreement(unit)
        for label, count in unit:
            labels[label] += number * count
    value = _alpha(labels, disagreement)
    if value is None:
        return Agreeing(None, None, None, items)
    total = sum(labels.values())
    expected = sum(count * (count - 1) for count in labels.values()) / (total * (total - 1))
    return _estimate(value, _jackknife(kinds, items, labels, disagreement), items, expected)


def _size(unit: Unit) -> int:
    return sum(count for _, count in unit)


def _disagreement(unit: Unit) -> float:
    """The unit's part of the coincidences off the diagonal."""
    size = _size(unit)
    return (size**2 - sum(count**2 for _, count in unit)) / (size - 1)


def _alpha(labels: Mapping[Hashable, int], disagreement: float) -> float | None:
    total = sum(labels.values())
    apart = total**2 - sum(count**2 for count in labels.values())
    return 1 - (total - 1) * disagreement / apart if apart else None


def _jackknife(kinds: Mapping[Unit, int], items: int, labels: Counter[Hashable], disagreement: float) -> float:
    """The standard error, of the values without each suggestion in turn; those of one kind have one value."""
    without: list[tuple[float, int]] = []
    for unit, number in kinds.items():
        rest = Counter(labels)
        rest.subtract(dict(unit))
        left = _alpha(rest, disagreement - _disagreement(unit))
        if left is not None:
            without.append((left, number))
    weight = sum(number for _, number in without)
    if weight < 2:
        return 0.0
    mean = sum(left * number for left, number in without) / weight
    return sqrt((items - 1) / items * sum(number * (left - mean) ** 2 for left, number in without))


def _estimate(value: float, error: float, items: int, expected: float) -> Agreeing:
    """The value with its interval. A few that agree in everything have no spread, and are still no certainty: then the
    lower end is what Wilson's interval of the agreement comes to."""
    if items < 2:
        return Agreeing(value, None, None, items)
    low, high = value - Z * error, value + Z * error
    if error < _NO_SPREAD:
        agreed = value * (1 - expected) + expected
        ends = wilson(min(1.0, max(0.0, agreed)), items)
        low, high = ((end - expected) / (1 - expected) for end in ends)
    return Agreeing(value, max(-1.0, low), min(1.0, high), items)
