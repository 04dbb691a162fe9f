"""Parts of a series that have rates of their own: its surfaces, its languages.

Without them a change of their mix would look like a change of the rate, or would hide one in the variance of the days.
"""

from collections.abc import Iterable
from math import log
from typing import Final

from keeprate.streams.quality.odds import logit, rate_of, variance_at

MAX_STRATA: Final = 10
REST: Final = ""
"""The stratum of all that have too few trials for a level of their own, or came later than the reference."""
_MIN_STRATUM_TRIALS: Final = 100

Part = tuple[str, int, int]
"""A stratum's name, its trials and its successes."""
Counted = tuple[int, int, int, tuple[Part, ...]]
"""A window, or what it is made of."""
Levels = dict[str, tuple[float, float]]
"""By stratum: the deviation of its log odds from the whole's, and the information (trials by p q) it rests on."""


def added(parts: Iterable[Part]) -> tuple[Part, ...]:
    """One part for each stratum."""
    sums: dict[str, tuple[int, int]] = {}
    for name, trials, successes in parts:
        n, s = sums.get(name, (0, 0))
        sums[name] = n + trials, s + successes
    return tuple((name, n, s) for name, (n, s) in sums.items())


def levels(hours: Iterable[Counted], level: float) -> Levels:
    """The strata's deviations from the level, and their information; none where there are not two."""
    found = added(part for *_, parts in hours for part in parts)
    by_size = sorted(found, key=lambda part: (-part[1], part[0]))
    own = {name for name, trials, _ in by_size[: MAX_STRATA - 1] if trials >= _MIN_STRATUM_TRIALS}
    pooled = added((name if name in own else REST, trials, successes) for name, trials, successes in by_size)
    if len(pooled) < 2:
        return {}
    log_odds = {name: logit(successes, trials) for name, trials, successes in pooled}
    return {name: (log_odds[name] - level, trials * variance_at(log_odds[name])) for name, trials, _ in pooled}


def folded(parts: Iterable[Part], strata: Levels) -> list[Part]:
    """Those parts that have trials and a level, or under the rest's; nothing where one has neither."""
    folded = []
    for name, trials, successes in parts:
        known = name if name in strata else REST
        if known not in strata:
            return []
        if trials:
            folded.append((known, trials, successes))
    return folded


def mix_offset(parts: Iterable[Part], level: float, strata: Levels) -> float:
    """By how much an hour's mix of strata moves the log odds to expect."""
    known = folded(parts, strata)
    trials = sum(each for _, each, _ in known)
    if not trials:
        return 0.0
    rate = sum(each * rate_of(level + strata[name][0]) for name, each, _ in known) / trials
    return log(rate / (1 - rate)) - level
