"""What groups are called, and which comes before which whatever the period, so that each keeps its colour."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from keeprate.deploy.page.reads import NAMES_FOR_S, Reads
from keeprate.deploy.page.selection import PERIODS, Selection
from keeprate.sinks.reading import counting
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.queries import CohortSegment

LONGEST: Final = "90d"
"""The longest period that there is holds the groups of all others."""
_TOO_MANY: Final = "user"
"""Of these there are too many to be told apart by colours, and to be asked for."""
BETWEEN: Final = " · "
NOT_SET: Final = "(not set)"
"""Stands for the value of what was sent without one, in the name of a group of several dimensions."""


def name_of(row: CohortSegment) -> str:
    """The name of a row's group: its values of the dimensions that it was cut by. No two groups share one."""
    return _name(list(row.dimensions.values()))


def _name(values: list[str]) -> str:
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
    first: dict[str, int] = {}
    for row in (row for row in seen(reads, selection) if not apps or row["app"] in apps):
        name, at_ms = _name([row[each] for each in selection.dimensions]), row["bucket_ms"]
        first[name] = min(at_ms, first.get(name, at_ms))
    return {name: place for place, name in enumerate(sorted(first, key=lambda each: (first[each], each)))}


def seen(reads: Reads, selection: Selection) -> list[Counts]:
    """The apps and environments that there are in 90 days, by the selection's groups and by when they were there: in
    one question what can be chosen, and which group came first."""
    cut = selection.dimensions if _TOO_MANY not in selection.dimensions else ()
    by = tuple(dict.fromkeys(("app", "environment", *cut)))
    scope = replace(reads.named, by=by, bucket_s=PERIODS[LONGEST].bucket_s if cut else 0)

    def ask() -> list[Counts]:
        return counting.first_buckets(reads.client, scope, reads.summed(scope))

    return reads.fact("seen", by, ask, NAMES_FOR_S)
