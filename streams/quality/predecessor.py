"""Which version a new one replaces: of the same family, the one with most traffic in the week before.

A family is an app's prompt, for its versions; an app's surface, for models; an app, for strategies of context. A
version whose family was hardly there before it is the first of its kind, and replaces none.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

BEFORE_S: Final = 7 * 86_400
KNOWN_FOR_S: Final = 86_400
"""A family must have been there for so long before, or what began together with the app would pass for a release."""
MIN_TRAFFIC: Final = 30

Family = tuple[str, ...]


@dataclass(frozen=True)
class Traffic:
    """How much one version of a family had in a window that began then."""

    family: Family
    version: str
    at_s: int
    number: int


@dataclass(frozen=True)
class Replacement:
    """A version, what it replaces, and the beginnings of the windows in which it first and last appeared."""

    family: Family
    version: str
    predecessor: str
    at_s: int
    last_at_s: int


def replacements(traffic: Iterable[Traffic]) -> list[Replacement]:
    """Every version that replaces one, the oldest first. Of windows with traffic, from before the first release on."""
    families: dict[Family, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for each in traffic:
        # What was sent without a version is none.
        if each.number and each.version:
            families[each.family][each.version][each.at_s] = each.number
    found = []
    for family, versions in families.items():
        begins = min(min(windows) for windows in versions.values())
        for version, windows in versions.items():
            at_s = min(windows)
            predecessor = _most_before(versions, at_s)
            if predecessor and at_s >= begins + KNOWN_FOR_S:
                found.append(Replacement(family, version, predecessor, at_s, max(windows)))
    return sorted(found, key=lambda each: (each.at_s, each.family, each.version))


def _most_before(versions: Mapping[str, Mapping[int, int]], at_s: int) -> str | None:
    sums = {
        version: sum(number for when, number in windows.items() if at_s - BEFORE_S <= when < at_s)
        for version, windows in versions.items()
    }
    # Of equals, the newest: it is the one that was just brought in.
    best = max(sums, key=lambda version: (sums[version], min(versions[version])))
    return best if sums[best] >= MIN_TRAFFIC else None
