"""Trials and successes of one rate before and after, by every combination of labels: what a difference is explained by.

One question for all cuts: combinations are few, and any cut is a sum over them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from keeprate.sinks.reading import counting
from keeprate.sinks.reading.hours import Known
from keeprate.sinks.reading.rates import ACCEPTANCE, FEEDBACK, RETENTION, Rate, counts_of
from keeprate.sinks.reading.scope import DIMENSIONS, Scope
from keeprate.sinks.store.clickhouse import Client

CUTS: Final = tuple(name for name in DIMENSIONS if name != "user")
"""People are too many to be a cut of everything."""
_RATES: Final[Mapping[str, tuple[Mapping[str, Rate], str]]] = {
    "acceptance_rate": (ACCEPTANCE, "acceptance_rate"),
    "touchless_rate": (ACCEPTANCE, "touchless_rate"),
    "retention": (RETENTION, "fuzzy_persistence_observed"),
    "correction_rate": (FEEDBACK, "correction_rate"),
    "flag_rate": (FEEDBACK, "flag_rate"),
    "negative_feedback_rate": (FEEDBACK, "negative_feedback_rate"),
}
METRICS: Final = tuple(_RATES)
"""Shares whose differences can be explained."""


@dataclass(frozen=True)
class CutCount:
    """What one combination of labels counted on one side: `is_new`, or before it."""

    is_new: bool
    labels: Mapping[str, str]
    trials: int
    successes: int


def before_and_after(
    client: Client, scope: Scope, at: datetime, metric: str, horizon_s: int = 0, summed: Known | None = None
) -> list[CutCount]:
    """The counts of a metric in a scope, before a time and from it on. horizon_s: of retention. Raises StoreError.

    summed: what is known to be summed of a span that holds the scope's.
    """
    table, name = _RATES[metric]
    asked = replace(scope, by=CUTS, bucket_s=0, eras=[at])
    names = counts_of(table, (name,))
    if table is RETENTION:
        rows = counting.at_horizons(client, replace(asked, horizons=[horizon_s]), names, summed)
    else:
        rows = counting.suggestions(client, asked, names, summed)
    found = []
    for row in rows:
        quotient = table[name](row)
        if quotient.denominator:
            # Feedback may be of what was never shown or accepted.
            successes = int(min(quotient.numerator, quotient.denominator))
            labels = {cut: row[cut] for cut in CUTS}
            found.append(CutCount(row["era"] > 0, labels, int(quotient.denominator), successes))
    return found
