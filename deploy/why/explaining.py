"""The cuts that explain a difference, ranked. Asks counts, keeps nothing; what is ranked is pure.

A cut explains in two ways: with other shares (its mix: more Go than before), and with a value that moved more than the
rest did (TypeScript fell, the others did not). Both say how much of the difference would be gone without it. They are
ranked by the end of the interval that claims least, so that a small value with a wild rate does not come first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.reading import cuts
from keeprate.sinks.reading.cuts import CUTS, CutCount
from keeprate.sinks.reading.hours import Known
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.versions import FAMILY
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality.decomposition import Contribution, Decomposition, Estimate, Portion, decompose

MOST_VALUES: Final = 20
"""Of a cut; the smaller ones are one."""
OTHERS: Final = "…"
ENOUGH: Final = 20
"""Trials on each side, below which a value is not said to have moved or not."""
BEFORE: Final = timedelta(days=28)


@dataclass(frozen=True)
class Sides:
    """What is compared: the counts from `at` on with those before, or two versions, each from its own time.

    scope: of both. version: (component, old, new) where it is two versions. together: the old one too counts from `at`
    on only, because both had traffic then.
    """

    scope: Scope
    at: datetime
    version: tuple[str, str, str] | None = None
    together: bool = False

    def side_of(self, count: CutCount) -> Literal["old", "new"] | None:
        """On which side a count is, if on one."""
        if self.version is None:
            return "new" if count.is_new else "old"
        component, old, new = self.version
        own = count.labels[component]
        if own == new:
            return "new" if count.is_new else None
        return "old" if own == old and count.is_new == self.together else None


@dataclass(frozen=True)
class Reason:
    """Something that explains a part of a difference. value: '' where it is the mix of a cut's values.

    part: how much of the difference would be gone without it; share: the same of the whole difference.
    """

    cut: str
    value: str
    part: Estimate
    share: float


@dataclass(frozen=True)
class Explained:
    """A difference, each cut's decomposition, and the reasons, the one that explains most first."""

    difference: Estimate
    old: tuple[int, int]
    new: tuple[int, int]
    cuts: Mapping[str, Decomposition]
    reasons: tuple[Reason, ...]


def of_release(kept: KeptVerdict, until: datetime, only: Mapping[str, Sequence[str]] | None = None) -> Sides:
    """The two versions of a release, up to a time."""
    family = (kept.app, kept.family)[: len(FAMILY[kept.component])]  # type: ignore[index]
    own = {name: [value] for name, value in zip(FAMILY[kept.component], family, strict=True)}  # type: ignore[index]
    both = {kept.component: sorted({kept.version, kept.predecessor})}
    scope = Scope(kept.released_at - BEFORE, until, until, (), {**(only or {}), **own, **both})
    version = (kept.component, kept.predecessor, kept.version)
    return Sides(scope, kept.released_at, version, kept.method == "concurrent")


def explain(
    client: Client, sides: Sides, metric: str, horizon_s: int = 0, summed: Known | None = None
) -> Explained | None:
    """Why a metric differs; None where a side has nothing. Raises StoreError.

    summed: what is known to be summed of a span that holds that of the sides.
    """
    return explained(cuts.before_and_after(client, sides.scope, sides.at, metric, horizon_s, summed), sides)


def explained(counts: Iterable[CutCount], sides: Sides) -> Explained | None:
    """The same of counts that were asked already. Pure."""
    sided = [(side, each) for each in counts if (side := sides.side_of(each)) is not None]
    portions = {cut: _portions(sided, cut) for cut in CUTS}
    telling = {cut: found for cut, found in portions.items() if _tells(found, sides)}
    among = sum(1 + len(found) for found in telling.values())
    whole = decompose([_united("", portions["app"])])
    if whole is None:
        return None
    found = {cut: taken for cut in telling if (taken := decompose(telling[cut], among)) is not None}
    all_of = _united("", portions["app"])
    return Explained(
        whole.difference,
        (all_of.old_trials, all_of.old_successes),
        (all_of.new_trials, all_of.new_successes),
        found,
        _ranked(found, whole.difference.value),
    )


def spread(taken: Decomposition, difference: float) -> tuple[list[Contribution], list[Contribution]]:
    """Of the values of a cut with enough trials: those that moved as the whole did beyond chance, and the others."""
    sure = [each for each in taken.contributions if _enough(each.portion) and each.moved is not None]
    with_it = [each for each in sure if each.moved and _least(each.moved, difference) > 0]
    return with_it, [each for each in sure if each not in with_it]


def _tells(portions: Sequence[Portion], sides: Sides) -> bool:
    """Whether a cut can say anything: it has two values, and is not the versions by another name."""
    both = any(each.old_trials and each.new_trials for each in portions)
    return len(portions) > 1 and (both or sides.version is None)


def _portions(sided: Sequence[tuple[str, CutCount]], cut: str) -> list[Portion]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for side, each in sided:
        at = 0 if side == "old" else 2
        sums[each.labels[cut]][at] += each.trials
        sums[each.labels[cut]][at + 1] += each.successes
    found = [Portion(value, *counts) for value, counts in sums.items()]
    found.sort(key=lambda each: (-each.old_trials - each.new_trials, each.value))
    rest = found[MOST_VALUES:]
    return found[:MOST_VALUES] + ([_united(OTHERS, rest)] if rest else [])


def _united(value: str, portions: Sequence[Portion]) -> Portion:
    return Portion(
        value,
        sum(each.old_trials for each in portions),
        sum(each.old_successes for each in portions),
        sum(each.new_trials for each in portions),
        sum(each.new_successes for each in portions),
    )


def _ranked(found: Mapping[str, Decomposition], difference: float) -> tuple[Reason, ...]:
    parts = [
        (cut, value, part)
        for cut, taken in found.items()
        for value, part in (("", taken.mix), *((each.portion.value, each.excess) for each in taken.contributions))
        if part is not None and _least(part, difference) > 0
    ]
    reasons = [Reason(cut, value, part, part.value / difference) for cut, value, part in parts]
    # Of two values each is the other's rest, so both have the same excess; the one that moved more is the reason.
    return tuple(sorted(reasons, key=lambda each: (-_least(each.part, difference), each.cut, each.value)))


def _least(part: Estimate, difference: float) -> float:
    """How much in the direction of a difference a part is at least."""
    return part.low if difference > 0 else -part.high


def _enough(portion: Portion) -> bool:
    return min(portion.old_trials, portion.new_trials) >= ENOUGH
