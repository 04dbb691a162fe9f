"""A list of suggestions as the page and its API have it. What is listed is found by `sinks.reading.lists.listing`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection, SelectionError
from keeprate.sinks.reading.lists.conditions import CHECK_FATES, FATES, RANKS, SIGNALS
from keeprate.sinks.reading.lists.listing import Listing, Order, Page, Place, Suggestion, page
from keeprate.sinks.reading.scope import ScopeError

OWN: Final = ("fate", "signal", "text", "order", "after", "backwards", "limit")
"""The parameters of a list besides those of a selection. `signal` may name several, with commas."""
ROWS: Final = 50
MOST_ROWS: Final = 500


def suggestions(reads: Reads, selection: Selection) -> Json:
    """A page of the list, where to go on, and what can be asked for."""
    found = rows_of(reads, selection)
    return {
        "rows": [row_json(row) for row in found.rows],
        "next": None if found.next is None else str(found.next),
        "limit": limit_of(selection),
        "horizon_s": selection.horizon_s,
        "fates": [*FATES, *CHECK_FATES],
        "signals": list(SIGNALS),
    }


def rows_of(reads: Reads, selection: Selection, patience_s: float | None = None) -> Page:
    """A page of the list, as rows. patience_s: as of `page`. Raises SelectionError."""
    if selection.of_nobody:
        return Page([], None)
    return page(reads.client, listing_of(selection, reads.now), patience_s)


def listing_of(selection: Selection, now: datetime) -> Listing:
    """The question that a selection's own parameters ask. Raises SelectionError."""
    after, backwards = selection.own("after"), selection.own("backwards")
    if backwards not in ("", "0", "1"):
        raise SelectionError(f"backwards: {backwards[:60]!r} is neither 1, for what is before a place, nor 0")
    try:
        return Listing(
            scope=replace(selection.scope("now", now), by=()),
            fate=selection.own("fate"),
            horizon_s=selection.horizon_s,
            signals=[name for name in selection.own("signal").split(",") if name],
            text=selection.own("text"),
            order=cast(Order, selection.own("order") or "newest"),
            after=Place.parse(after) if after else None,
            backwards=backwards == "1",
            limit=limit_of(selection),
        )
    except ScopeError as error:
        raise SelectionError(str(error)) from None


def limit_of(selection: Selection) -> int:
    """How many rows a page has. Raises SelectionError."""
    limit = selection.own("limit") or str(ROWS)
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 1 <= int(limit) <= MOST_ROWS):
        raise SelectionError(f"limit: {limit[:60]!r} is not a number from 1 to {MOST_ROWS}")
    return int(limit)


def from_on(selection: Selection, place: Place | None, limit: int) -> Selection:
    """The same list from a place on."""
    more = {**dict(selection.more), "after": "" if place is None else str(place), "limit": str(limit)}
    return replace(selection, more=tuple(more.items()))


def row_json(row: Suggestion) -> Json:
    """A row as JSON, with its place and, in a list by rank, the rank's name."""
    values = {name: value for name, value in row.values.items() if name not in ("ratio", "cohort_ms")}
    own = {"place": str(row.place), "at": row.place.cohort_ms, "rank": RANKS[row.rank], "fate": fate_of(row.values)}
    return own | values | {"judgements": [list(each) for each in row.values["judgements"]]}


def fate_of(values: Mapping[str, Any]) -> str:
    """What became of a suggestion, in one word of FATES; '' where nobody saw it."""
    for name in ("orphan", "undone", "accepted", "auto_applied"):
        if values[name]:
            return name
    return str(values["end_reason"] or ("shown" if values["shown"] else ""))
