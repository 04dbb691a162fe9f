"""Versions, models or strategies of context side by side: rates and funnels, by a second cut too, and verdicts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from keeprate.deploy.page import answers
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.parts import released
from keeprate.deploy.page.parts.places import places
from keeprate.deploy.page.reads import Counted, Reads
from keeprate.deploy.page.selection import DIMENSIONS, Selection, SelectionError
from keeprate.deploy.releases import words
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.store.clickhouse import to_ms

OWN: Final = ("component", "split")
COMPONENTS: Final = ("prompt_version", "model", "context_strategy")


def versions(reads: Reads, selection: Selection) -> Json:
    """The versions, the same by a second dimension, and what releases came to in every metric."""
    component = _one_of("component", selection, COMPONENTS)
    split = _one_of(
        "split", selection, tuple(name for name in ("language", *DIMENSIONS) if name not in ("", component))
    )
    whole, parts = replace(selection, by=(component,)), replace(selection, by=(component, split))
    # The parts of each are asked, and added up they are the whole.
    counted = reads.grouped(parts)
    return {
        "component": component,
        "components": [{"value": name, "text": DIMENSIONS[name]} for name in COMPONENTS],
        "split": split,
        "splits": [{"value": name, "text": text} for name, text in DIMENSIONS.items() if name not in ("", component)],
        "whole": _compared(whole, counted, places(reads, whole)),
        "parts": _compared(parts, counted, places(reads, parts)),
        "judged": all_judged(each for each in released.verdicts(reads, selection) if each.component == component),
    }


def _compared(selection: Selection, counted: Counted, places_of: Mapping[str, int]) -> Json:
    rates = counted.pooled(selection.dimensions).rates()
    return answers.compare_rates(selection, answers.named(rates, selection.horizon_s), places_of)


def _one_of(name: str, selection: Selection, offered: tuple[str, ...]) -> str:
    value = selection.own(name) or offered[0]
    if value not in offered:
        raise SelectionError(f"{name}: {value[:60]!r} is not offered; choose from {', '.join(offered)}")
    return value


def all_judged(kept: Iterable[KeptVerdict]) -> list[Json]:
    """Each release in every metric, in the order in which the overview tells of releases and of metrics."""
    found = [each for group in released.ranked(kept) for each in sorted(group, key=released.place)]
    metrics = Counter(released.key(each) for each in found)
    return [_judged(each, metrics[released.key(each)]) for each in found]


def _judged(kept: KeptVerdict, metrics: int) -> Json:
    """One metric of a release. metrics: in how many it is judged."""
    return {
        "release": released.key(kept),
        "app": kept.app,
        "family": kept.family,
        "version": kept.version,
        "predecessor": kept.predecessor,
        "released_at": to_ms(kept.released_at),
        "metric": kept.metric,
        "title": words.metric_name(kept),
        "horizon_s": kept.horizon_s,
        "method": kept.method,
        "how": words.METHOD[kept.method],
        "new": {"numerator": kept.new_successes, "denominator": kept.new_trials},
        "old": {"numerator": kept.old_successes, "denominator": kept.old_trials},
        "difference": kept.difference,
        "low": kept.low,
        "high": kept.high,
        "points": words.points(kept.difference) if kept.difference is not None else "",
        "between": words.between(kept),
        "verdict": kept.verdict,
        "why_open": words.why_open(kept, metrics),
        "about": words.about(kept),
        "days_left": kept.days_left,
        "sees_in": words.time_left(kept.days_left),
    }
