"""Why: the cuts that explain a difference, of a release or of two periods."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.parts import released
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.deploy.releases import words as release_words
from keeprate.deploy.why import words
from keeprate.deploy.why.explaining import Explained, Reason, Sides, explain, of_release
from keeprate.deploy.why.links import EXPLAINED
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.reading.rates import wilson
from keeprate.sinks.store.clickhouse import to_ms
from keeprate.streams.quality.decomposition import Contribution, Decomposition, Estimate

KEPT_S: Final = 30.0
OWN: Final = ("release",)
"""The parameters that this question has besides."""
PERIODS: Final = "periods"
"""In place of a release's name: the period, and the one before."""
NONE: Final = (0, 0)
_MOST: Final = 12


def why(reads: Reads, selection: Selection) -> Json:
    """The difference, the reasons with the filter that each is, and every cut with its values."""
    releases = released.each(reads, selection)
    chosen = _chosen(reads, selection, releases)
    sides = _sides(reads, selection, chosen)
    found = explanation(reads, selection, sides)
    return {
        "release": released.key(chosen) if chosen else PERIODS,
        "releases": [{"value": released.key(each), "text": _title(each)} for each in releases],
        "metric": selection.metric,
        "horizon_s": selection.horizon_s,
        "title": words.metric_name(selection.metric, selection.horizon_s),
        "old": _side(chosen.predecessor if chosen else f"the {selection.period} before", found.old if found else NONE),
        "new": _side(chosen.version if chosen else selection.span.title, found.new if found else NONE),
        "since": to_ms(sides.at),
        "values": released.values_of(chosen) if chosen else {},
        "judged": _judged(reads, selection, chosen) if chosen else "",
        "in_both": [] if chosen else [each for each in released.releases(reads, selection)["rows"] if each["in_both"]],
        "missing": name if (name := selection.own("release")) != PERIODS and chosen is None else "",
        "difference": _estimate(found.difference if found else None),
        "reasons": [_reason(each, found) for each in found.reasons[:_MOST]] if found else [],
        "nowhere": words.NOWHERE,
        "cuts": [_cut(name, taken) for name, taken in found.cuts.items()] if found else [],
    }


def _chosen(reads: Reads, selection: Selection, releases: Sequence[KeptVerdict]) -> KeptVerdict | None:
    """The release that is named; without a name, the newest that is worse; None for two periods."""
    name = selection.own("release")
    if not name:
        worse = {released.key(each) for each in released.verdicts(reads, selection) if each.verdict == "worse"}
        return next((each for each in releases if released.key(each) in worse), None)
    return next((each for each in releases if released.key(each) == name), None)


def _judged(reads: Reads, selection: Selection, chosen: KeptVerdict) -> str:
    """What the verdict on the release says of the same metric, with how it was found; '' where it says nothing."""
    for each in released.verdicts(reads, selection):
        is_metric = EXPLAINED.get(each.metric) == selection.metric and each.horizon_s in (0, selection.horizon_s)
        if is_metric and released.key(each) == released.key(chosen) and (said := release_words.difference(each)):
            return f"{said}, {release_words.METHOD[each.method]}"
    return ""


def explanation(reads: Reads, selection: Selection, sides: Sides) -> Explained | None:
    """What explains a difference; shared for as long as the question is the same."""
    if selection.of_nobody:
        return None
    metric, horizon_s = selection.metric, selection.horizon_s
    key = (metric, horizon_s, selection.filters, selection.period, sides.version, to_ms(sides.at))
    ask = partial(explain, reads.client, sides, metric, horizon_s)
    return reads.fact("why", key, lambda: ask(reads.summed(sides.scope)), KEPT_S)


def _sides(reads: Reads, selection: Selection, chosen: KeptVerdict | None) -> Sides:
    if chosen is not None:
        return of_release(chosen, reads.now, selection.only)
    scope = selection.scope("now", reads.now)
    whole = replace(scope, since=scope.since - selection.span.length, by=())
    return Sides(whole, scope.since)


def _title(kept: KeptVerdict) -> str:
    return f"{kept.version} after {kept.predecessor}, {' '.join(filter(None, (kept.app, kept.family)))}"


def _side(name: str, counts: tuple[int, int]) -> Json:
    trials, successes = counts
    low, high = wilson(successes / trials, trials) if trials else (None, None)
    value = successes / trials if trials else None
    return {"name": name, "value": value, "low": low, "high": high, "numerator": successes, "denominator": trials}


def _reason(why: Reason, found: Explained) -> Json:
    return {
        "cut": why.cut,
        "value": why.value,
        "narrow": why.value or words.grown(why, found),
        "share": why.share,
        "part": _estimate(why.part),
        "text": words.reason(why, found),
    }


def _cut(name: str, taken: Decomposition) -> Json:
    whole = [sum(each.portion.old_trials for each in taken.contributions)]
    whole.append(sum(each.portion.new_trials for each in taken.contributions))
    return {
        "name": name,
        "mix": _estimate(taken.mix),
        "values": [_value(each, whole[0], whole[1]) for each in taken.contributions],
    }


def _value(each: Contribution, old: int, new: int) -> Json:
    own = each.portion
    return {
        "value": own.value,
        "old": {"share": own.old_trials / old} | _side("", (own.old_trials, own.old_successes)),
        "new": {"share": own.new_trials / new} | _side("", (own.new_trials, own.new_successes)),
        "mix": _estimate(each.mix),
        "moved": _estimate(each.moved),
        "excess": _estimate(each.excess),
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    """A difference of two shares: where its normal interval goes beyond what there can be, it ends there."""
    if estimate is None:
        return None
    return {"value": estimate.value, "low": max(-1.0, estimate.low), "high": min(1.0, estimate.high)}
