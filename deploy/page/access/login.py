"""A login in a browser: by a token that is typed in, or at the provider; sessions are signed cookies of starlette."""

import asyncio
import logging
import os
import re
import secrets
from contextlib import suppress
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pydantic_core import from_json
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from keeprate.deploy.page.access import provider
from keeprate.deploy.page.access.doors import BEGAN, GROUPS, PERSON, TOKEN, Doors, PageAccess
from keeprate.deploy.page.access.gate import LOGIN, viewer
from keeprate.deploy.page.access.people import FILE_NAME, People, hashed, read
from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.deploy.page.refusals import failure

SECRET_NAME: Final = "page-session-secret"
COOKIE: Final = "keeprate"
_NEXT: Final = "next"
_OWN_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x7e]*")
_MOST_BODY: Final = 10_000
_BODY_S: Final = 10.0
log = logging.getLogger("keeprate.access")


def access(settings: AccessSettings, data_dir: Path) -> PageAccess:
    """Who is let in, as the settings say. Raises SettingsError for a file that cannot be read."""
    people = People(settings.file or data_dir / FILE_NAME)
    if not settings.doors:
        return PageAccess()
    read(people.path)
    doors = Doors(settings, people)
    if "tokens" not in settings.doors and "oidc" not in settings.doors:
        return PageAccess(doors)
    sessions = Middleware(
        SessionMiddleware,
        secret_key=_secret(settings, data_dir),
        session_cookie=COOKIE,
        max_age=int(settings.session_hours * 3600),
        same_site="lax",
        https_only=settings.is_https,
    )
    return PageAccess(doors, routes(doors), [sessions])


def routes(doors: Doors) -> list[BaseRoute]:
    """What a login takes."""
    settings = doors.settings
    found: list[BaseRoute] = [
        Route(LOGIN, partial(_document, settings)),
        Route("/api/login", partial(_by_token, doors), methods=["POST"]),
        Route("/api/logout", _logout, methods=["POST"]),
    ]
    if "oidc" in settings.doors:
        client = provider.client(settings)
        found += [
            Route("/login/oidc", partial(_to_provider, settings, client)),
            Route("/login/callback", partial(_from_provider, doors, client)),
        ]
    return found


async def me(request: Request) -> Response:
    """Who is logged in, and what they may do in which app."""
    found = viewer(request)
    said = {"name": found.name, "roles": dict(found.roles), "texts_from": found.texts_from}
    return JSONResponse(said, headers={"cache-control": "no-store"})


async def _document(settings: AccessSettings, request: Request) -> Response:
    """The page of the login. Where the provider is the only way, it goes there at once."""
    wanted = own_path(request.query_params.get(_NEXT, ""))
    if settings.doors == ("oidc",) and "said" not in request.query_params:
        return RedirectResponse(f"./login/oidc?{_NEXT}={quote(wanted, safe='')}", 303)
    shown = {door: "" if door in settings.doors else "hidden" for door in ("tokens", "oidc")}
    shown |= {"next": escape(wanted), "asked": quote(wanted, safe="")}
    text = files("keeprate.deploy.page").joinpath("bodies", "login.html").read_text("utf-8")
    said = _SAID.get(request.query_params.get("said", ""), "")
    return HTMLResponse(text.format(said=escape(said), **shown), headers={"cache-control": "no-store"})


async def _by_token(doors: Doors, request: Request) -> Response:
    """Begin a session for whoever has a token. The session holds its hash, so it ends when the token does."""
    if "tokens" not in doors.settings.doors:
        return failure(404, "not_found", "nobody logs in by a token here")
    token = await _sent_token(request)
    found = doors.of_token(hashed(token))
    if found is None:
        return failure(401, "unauthorized", "No such token, or it has expired. `keeprate access token` makes one.")
    request.session.clear()
    request.session.update({TOKEN: hashed(token), BEGAN: doors.now().timestamp()})
    log.info("%r logged in by a token", found.name)
    return Response(status_code=204)


async def _sent_token(request: Request) -> str:
    body = b""
    try:
        # Nobody knows yet who sends it: it may not hold its connection for as long as it likes.
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > _MOST_BODY:
                    return ""
        said: Any = from_json(body)
    except (ValueError, TimeoutError):
        return ""
    token = said.get("token") if isinstance(said, dict) else None
    return token if isinstance(token, str) else ""


async def _logout(request: Request) -> Response:
    """End the session in this browser."""
    request.session.clear()
    return Response(status_code=204)


async def _to_provider(settings: AccessSettings, client: Any, request: Request) -> Response:
    """Begin at the provider. Where to go afterwards stays here, in the session."""
    request.session[_NEXT] = own_path(request.query_params.get(_NEXT, ""))
    try:
        found: Response = await provider.begin(client, request, f"{(settings.url or '').rstrip('/')}/login/callback")
    except provider.LoginError as error:
        log.warning("the provider does not answer: %s", error)
        return RedirectResponse("../login?said=provider", 303)
    return found


async def _from_provider(doors: Doors, client: Any, request: Request) -> Response:
    """What the provider says of who came back: a session for them, or why there is none."""
    wanted = own_path(request.session.get(_NEXT, ""))
    try:
        who, groups = await provider.end(client, request, doors.settings)
    except provider.LoginError as error:
        log.warning("a login at the provider failed: %s", error)
        request.session.clear()
        return RedirectResponse("../login?said=failed", 303)
    request.session.clear()
    request.session.update({PERSON: who, GROUPS: groups, BEGAN: doors.now().timestamp()})
    log.info("%r logged in at the provider", who)
    return RedirectResponse(f"..{wanted}", 303)


def own_path(text: str) -> str:
    """Where to go after a login: an address of the page itself, or its beginning. Nobody is led elsewhere."""
    return text if _OWN_PATH.fullmatch(text) else "/"


def _secret(settings: AccessSettings, data_dir: Path) -> str:
    """What sessions are signed with: made once, for this user alone."""
    if settings.session_secret is not None:
        return settings.session_secret.get_secret_value()
    path = data_dir / SECRET_NAME
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}")
        made.touch(0o600)
        made.write_text(secrets.token_urlsafe(32), "utf-8")
        with suppress(FileExistsError):
            # A link is there as a whole or not at all, and does not replace one that another process made meanwhile.
            os.link(made, path)
        made.unlink()
    return path.read_text("utf-8")


_SAID: Final = {
    "failed": "The provider did not say who you are. Try again; the page's log says why.",
    "provider": "The provider does not answer. Try again in a minute; the page's log says why.",
    "out": "You are logged out of Keeprate, though perhaps not of the provider.",
}
"""What the page of the login says, by the word in its address."""
