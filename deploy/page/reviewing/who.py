"""Who reviews: whom the gate let in, and where it asks nobody who they are, what they call themselves.

Such a page trusts whoever reaches it, as with all else. A name that is said there keeps two people of one machine
apart; it is no proof.
"""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from keeprate.deploy.page.access.gate import viewer
from keeprate.deploy.page.reviewing.desk import Reviewer
from keeprate.deploy.review.sending import pseudonym

_MOST: Final = 80


def reviewer_of(request: Request, said: str) -> Reviewer | None:
    """Who reviews; None where nobody says. Raises HTTPException for a name that is none."""
    name = (viewer(request).name or said).strip()
    if not name:
        return None
    if not _is_name(name):
        raise HTTPException(400, f"reviewer: {name[:_MOST]!r} is no name: up to {_MOST} letters, digits and signs")
    return _reviewer(request, name)


def known_reviewer(request: Request) -> Reviewer | None:
    """Whoever was let in, as a reviewer; None where nobody is asked who they are, or by a name that cannot review."""
    name = viewer(request).name.strip()
    return _reviewer(request, name) if _is_name(name) else None


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _MOST and name.isprintable()


def _reviewer(request: Request, name: str) -> Reviewer:
    found = viewer(request)
    return Reviewer(pseudonym(name), name, lambda app: found.may(app, "reviewer"), bool(found.name))
