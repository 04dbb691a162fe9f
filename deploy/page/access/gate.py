"""The gate before every route: whether the address is text, who asks, of which apps, and whether a page of ours asks.

A route behind it learns who was let in from `viewer`, and asks by `require` before it does more than show. That a
request which changes something comes from a page of ours, no route checks by itself.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from keeprate.deploy.page.access.readable import unreadable
from keeprate.deploy.page.access.viewer import ANYBODY, Role, Viewer
from keeprate.deploy.page.refusals import failure, refusal

Recognise = Callable[[HTTPConnection], Viewer | None]
"""Who sends a request, or None where that is not known."""

LOGIN: Final = "/login"
PUBLIC: Final = frozenset(
    {"/healthz", LOGIN, "/login/oidc", "/login/callback", "/api/login", "/login.js", "/page.css", "/icon.svg"}
)
"""What anybody may ask for: whether the page serves, and what a login takes. Nothing of it tells of an app."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
_VIEWER: Final = "keeprate.viewer"


def anybody(connection: HTTPConnection) -> Viewer:
    """Lets in whoever reaches the port, as on loopback."""
    return ANYBODY


def viewer(connection: HTTPConnection) -> Viewer:
    """Who was let in with this request."""
    found: Viewer = connection.scope[_VIEWER]
    return found


def require(connection: HTTPConnection, app: str, role: Role) -> Viewer:
    """Who was let in, if they may do in an app what takes this role. Raises HTTPException with 403."""
    found = viewer(connection)
    if not found.may(app, role):
        raise HTTPException(403, f"this takes the role {role} in {app[:100]!r}, which you do not have there")
    return found


class Gate:
    """Refuses what is not to reach any route, and names to the others who asks."""

    def __init__(self, app: ASGIApp, recognise: Recognise = anybody) -> None:
        self._app = app
        self._recognise = recognise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Nothing here speaks them, so nobody is let in by one.
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = (foreign(scope) or _no_text(scope) or self._unknown(scope)) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _unknown(self, scope: Scope) -> Response | None:
        """Why whoever asks is not let in; None, and their name in the scope, where they are."""
        if scope["path"] in PUBLIC:
            return None
        found = self._recognise(HTTPConnection(scope))
        if found is None:
            return _to_login(scope)
        if found.sight.apps == ():
            return failure(403, "refused", f"{found.name or 'You'} may see no app: ask who runs Keeprate for a role.")
        hidden = sorted(app for app in _named(scope) if not found.may(app))
        if hidden:
            return failure(403, "refused", f"You may not see {hidden[0][:100]!r}: ask who runs Keeprate for a role.")
        scope[_VIEWER] = found
        return None


def foreign(scope: Scope) -> Response | None:
    """Why a request is taken for one that a page elsewhere made; None for one of ours, or of a program.

    Such a page cannot read an answer; but it could ask for a thousand, or change something in its reader's name.
    """
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if scope["method"] in SAFE:
        is_elsewhere = scope["path"].startswith("/api/") and site in ("cross-site", "same-site")
    elif headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        # No form and no link sends that, so a browser asks first, and is not answered.
        return failure(415, "refused", "What changes something is sent as application/json.")
    elif site is not None:
        is_elsewhere = site != "same-origin"
    elif origin is not None:
        is_elsewhere = urlsplit(origin).netloc != headers.get("host")
    else:
        # A program, which nobody can lead anywhere. A browser that says nothing is too old to be trusted with a login.
        is_elsewhere = "cookie" in headers
    return failure(403, "refused", "The page answers to its own site only.") if is_elsewhere else None


def _no_text(scope: Scope) -> Response | None:
    """What is said of an address that is no text; None for one that is."""
    why = unreadable(scope)
    return None if why is None else refusal(scope, 400, "bad_request", why)


def _named(scope: Scope) -> set[str]:
    """The apps that a request names in its path, or among the parameters of a question."""
    matches = (route.matches(scope) for route in scope["app"].routes)
    in_path: dict[str, Any] = next(
        (child.get("path_params", {}) for match, child in matches if match is Match.FULL), {}
    )
    # A page's own address is for its scripts: the document is the same for everybody.
    in_query = QueryParams(scope["query_string"]).getlist("app") if scope["path"].startswith("/api/") else []
    return {app for app in (*in_query, in_path.get("app")) if app}


def _to_login(scope: Scope) -> Response:
    """What somebody unknown is told: a program by a code, a person by the page where they log in."""
    if scope["path"].startswith("/api/") or scope["method"] not in SAFE:
        headers = {"www-authenticate": 'Bearer realm="keeprate"'}
        return failure(401, "unauthorized", "Say who you are: log in, or send a token as Bearer.", headers)
    query = scope["query_string"].decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    # From where they are, because a proxy may serve the page below a path of its own.
    up = "../" * (scope["path"].count("/") - 1)
    return RedirectResponse(f"{up or './'}{LOGIN[1:]}?next={quote(wanted, safe='')}", 303)
