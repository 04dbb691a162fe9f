"""A list of suggestions, or one, as a suite of test cases to download."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from keeprate.deploy.cases.formats import FORMS
from keeprate.deploy.cases.gathering import Gathered, gather, told
from keeprate.deploy.horizons import USUAL_S
from keeprate.deploy.page.exploring import listed
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection, SelectionError
from keeprate.sinks.reading.lists.listing import Listing, Page, Suggestion, page
from keeprate.sinks.reading.scope import Scope

OWN: Final = (*listed.OWN, "format")
MOST: Final = 200
"""Suggestions in one download; keeprate cases export takes as many as one likes."""
PATIENCE_S: Final = 20.0
"""How long they are looked for. What is found at once is not all of the list that is shown."""
_EVER: Final = timedelta(days=7000)


def form_of(selection: Selection) -> str:
    """The form that is asked for. Raises SelectionError."""
    return form_named(selection.own("format"))


def form_named(name: str) -> str:
    """The form of a name; a suite where there is none. Raises SelectionError."""
    if name and name not in FORMS:
        raise SelectionError(f"format: {name[:60]!r} is not offered; choose from {', '.join(FORMS)}")
    return name or "jsonl"


def bounded(selection: Selection) -> Selection:
    """The selection with no more suggestions than one download has."""
    given = selection.own("limit") or str(MOST)
    limit = str(min(int(given), MOST)) if given.isascii() and given.isdigit() and len(given) < 5 else given
    own = {name: value for name, value in selection.more if name != "format"}
    return replace(selection, more=tuple((own | {"limit": limit}).items()))


def page_of(reads: Reads, selection: Selection) -> Page:
    """The suggestions of one download. Raises SelectionError."""
    return listed.rows_of(reads, bounded(selection), PATIENCE_S)


def page_of_one(reads: Reads, app: str, generation_id: str) -> Page:
    """The suggestions of one generation, however old it is."""
    scope = Scope(reads.now - _EVER, reads.now + timedelta(days=1), reads.now, only={"app": [app]})
    return page(reads.client, Listing(scope, horizon_s=USUAL_S, text=generation_id))


def gathered(reads: Reads, rows: Sequence[Suggestion], base: str, seen: list[tuple[str, str]]) -> Gathered:
    """Their cases. seen: gets the app and the id of each whose content is read.

    Raises HTTPException where texts are kept from the role of who asks: a case is nothing else.
    """
    if hidden := sorted({row.values["app"] for row in rows if not reads.sight.may_read(row.values["app"])}):
        raise HTTPException(403, f"What users and models wrote in {hidden[0]!r} is hidden from your role there.")
    return gather(reads.client, rows, base, lambda app, generation_id: seen.append((app, generation_id)))


def answer(found: Gathered, form: str, looked: Page) -> Response:
    """The file, and in its head what became of the suggestions; where there is no case, why not and what would do.

    looked: the page of the list that it is of. Raises HTTPException.
    """
    if not found.cases:
        reasons = " ".join(told(found)) or "No suggestion is like that in this selection."
        raise HTTPException(404, f"There is no test case in it. {reasons}")
    how = FORMS[form]
    name = "test_cases" if form == "pytest" else "cases" if form == "jsonl" else f"cases-{form}"
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{name}.{how.ending}"',
        "x-keeprate-left-out": str(len(found.left_out)),
        "x-keeprate-suggestions": str(found.suggestions),
        "x-keeprate-same": str(found.same),
        "x-keeprate-goes-on": str(int(found.full or looked.next is not None)),
    }
    return Response("".join(how.write(found.cases, found.left_out_json)), headers=headers, media_type=how.media_type)
