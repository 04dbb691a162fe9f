"""What groups are called, and which comes before which whatever the period, so that each keeps its colour."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from keeprate.deploy.page.reads import REQUESTS, Reads
from keeprate.deploy.page.selection import PERIODS, Selection
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.queries import CohortSegment
from keeprate.sinks.reading.rates import ACCEPTANCE, counts_of
from keeprate.sinks.reading.scope import Scope

KEPT_S: Final = 60.0
LONGEST: Final = "90d"
"""The longest period that there is holds the groups of all others."""
_TOO_MANY: Final = "user"
"""Of these there are too many to be told apart by colours, and to be asked for."""
BETWEEN: Final = " · "
NOT_SET: Final = "(not set)"
"""Stands for the value of what was sent without one, in the name of a group of several dimensions."""


def name_of(row: CohortSegment) -> str:
    """The name of a row's group: its values of the dimensions that it was cut by. No two groups share one."""
    values = list(row.dimensions.values())
    return values[0] if len(values) == 1 else BETWEEN.join(map(_part, values))


def _part(value: str) -> str:
    """A value in a name of several, in quotes where it could be taken for something else."""
    odd = BETWEEN.strip() in value or value.startswith(('"', NOT_SET))
    return json.dumps(value, ensure_ascii=False) if odd else value or NOT_SET


def places(reads: Reads, selection: Selection) -> Mapping[str, int]:
    """By the name of a group its place among all of the chosen apps in 90 days, the one that came first in front."""
    if not selection.dimensions or _TOO_MANY in selection.dimensions or selection.of_nobody:
        return {}
    apps = tuple(selection.only.get("app", ()))
    only = {"app": apps} if apps else {}
    scope = replace(reads.named, by=selection.dimensions, only=only, bucket_s=PERIODS[LONGEST].bucket_s)
    return reads.fact("places", (apps, selection.dimensions), lambda: _places(reads, scope), KEPT_S)


def _places(reads: Reads, scope: Scope) -> Mapping[str, int]:
    rows = queries.counted(reads.client, scope, counts_of(ACCEPTANCE, (REQUESTS,)), reads.summed(scope))
    first: dict[str, float] = {}
    for rate in queries.rates_of(scope, rows, (REQUESTS,)):
        name, at_s = name_of(rate), rate.bucket_at.timestamp()
        first[name] = min(at_s, first.get(name, at_s))
    return {name: place for place, name in enumerate(sorted(first, key=lambda each: (first[each], each)))}
