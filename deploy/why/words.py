"""What is said of a difference and of what explains it, wherever it is said."""

from collections.abc import Sequence
from typing import Final

from keeprate.deploy.horizons import horizon_name
from keeprate.deploy.releases.words import points
from keeprate.deploy.why.explaining import Explained, Reason, spread
from keeprate.streams.quality.decomposition import Contribution, Decomposition, Estimate

NOT_SET: Final = "(not set)"
_MOST_NAMED: Final = 4
NOWHERE: Final = "No cut explains it: it is about the same in all of them, as far as the numbers can tell."
_DONE: Final = {
    "acceptance_rate": "accepted",
    "touchless_rate": "untouched",
    "correction_rate": "corrected",
    "flag_rate": "flagged",
    "negative_feedback_rate": "negative",
}


def metric_name(metric: str, horizon_s: int) -> str:
    """`kept after 10 min`, `accepted`."""
    return _DONE.get(metric) or f"kept after {horizon_name(horizon_s)}"


def plural(cut: str) -> str:
    """`languages`, `context strategies`."""
    name = cut.replace("_", " ")
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def interval(estimate: Estimate) -> str:
    """`−30 pp (−35 to −25)`."""
    return f"{points(estimate.value)} pp ({points(estimate.low)} to {points(estimate.high)})"


def reason(why: Reason, found: Explained) -> str:
    """A reason as a sentence: what would be gone without it."""
    whole = points(found.difference.value)
    if not why.value:
        most = grown(why, found)
        own = next((each for each in found.cuts[why.cut].contributions if each.portion.value == most and most), None)
        of = f" ({own.portion.value}: {_shares(own, found)})" if own else ""
        return f"Other shares of {plural(why.cut)}{of} are {points(why.part.value)} of the {whole} pp"
    own = next(each for each in found.cuts[why.cut].contributions if each.portion.value == why.value)
    moved = points(own.moved.value) if own.moved else "0"
    left = points(found.difference.value - why.part.value)
    return f"{why.value or NOT_SET} moved by {moved} pp; had it moved as the rest, {left} of the {whole} pp were left"


def leading(found: Explained) -> str:
    """What explains most of a difference: `92 % of it in language typescript`; '' where nothing does for certain."""
    if not found.reasons:
        return ""
    first = found.reasons[0]
    part = f"{first.share:.0%}".replace("%", " %")
    if first.value:
        return f"{part} of it in {first.cut.replace('_', ' ')} {first.value}"
    most = grown(first, found)
    return f"{part} of it by other shares of {plural(first.cut)}" + (f" ({most})" if most else "")


def grown(why: Reason, found: Explained) -> str:
    """Of a mix, the value that there is more of and that did most; '' where none did."""
    sign = 1 if found.difference.value > 0 else -1
    more = [
        each
        for each in found.cuts[why.cut].contributions
        if each.portion.new_trials * found.old[0] > each.portion.old_trials * found.new[0] and sign * each.mix.value > 0
    ]
    return max(more, key=lambda each: sign * each.mix.value).portion.value if more else ""


def _shares(own: Contribution, found: Explained) -> str:
    old, new = own.portion.old_trials / max(1, found.old[0]), own.portion.new_trials / max(1, found.new[0])
    return f"{100 * old:.0f} % to {100 * new:.0f} %"


def where(found: Explained, cut: str = "language") -> str:
    """`in every language; most in typescript`; '' where the cut says nothing."""
    taken = found.cuts.get(cut)
    if taken is None:
        return ""
    most = next((each.value for each in found.reasons if each.cut == cut and each.value), "")
    said = _everywhere(taken, found.difference.value, cut)
    return "; ".join(filter(None, (said, f"most in {most}" if most else "")))


def _everywhere(taken: Decomposition, difference: float, cut: str) -> str:
    with_it, others = spread(taken, difference)
    name = cut.replace("_", " ")
    if not with_it:
        return ""
    if not others:
        return f"in every {name}" if len(with_it) > 1 else f"in {with_it[0].portion.value or NOT_SET}"
    of = f"of the {len(with_it) + len(others)} {plural(cut)} with enough to tell"
    return f"for certain in {_listed([each.portion.value or NOT_SET for each in with_it])}, {of}"


def _listed(names: Sequence[str]) -> str:
    """`go, python and rust`; of many, the first ones and how many more there are."""
    shown = [*names] if len(names) <= _MOST_NAMED else [*names[:_MOST_NAMED], f"{len(names) - _MOST_NAMED} more"]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
