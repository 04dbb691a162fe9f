"""The address of one suggestion, and who reads what is there."""

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from keeprate.deploy.page.access.gate import viewer
from keeprate.producers.errors import SettingsError

_APP_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOGINS: Final = ("x-forwarded-user", "x-forwarded-email", "remote-user")


def checked_template(text: str) -> str:
    """A template of addresses of traces elsewhere, with {trace_id} in it. Raises SettingsError."""
    try:
        made = urlsplit(text.format(trace_id="0" * 32, app="a", generation_id="0"))
    except (KeyError, IndexError, ValueError):
        raise SettingsError(
            "trace_url", f"{text!r} has other braces than {{trace_id}}, {{app}}, {{generation_id}}"
        ) from None
    if made.scheme not in ("http", "https") or not made.hostname or "{trace_id}" not in text:
        raise SettingsError(
            "trace_url", f"{text!r} is none: give one such as https://traces.example/trace/{{trace_id}}"
        )
    return text


def trace_link(template: str, generation: Mapping[str, Any] | None) -> str | None:
    """Where the trace of a generation is shown; None without a template, or without a trace."""
    if not template or not generation or not generation.get("trace_id"):
        return None
    names = ("trace_id", "app", "generation_id")
    return template.format(**{name: quote(str(generation[name]), safe="") for name in names})


def is_one(app: str, generation_id: str) -> bool:
    """Whether they can be an app and a generation of it."""
    try:
        return _APP_NAME.fullmatch(app) is not None and str(uuid.UUID(generation_id)) == generation_id
    except ValueError:
        return False


def reader(request: Request) -> str:
    """Who asks, as far as it is known: who was let in, or else a login that a proxy names, and the address."""
    address = request.client.host if request.client else "an unknown address"
    if came_from := request.headers.get("x-forwarded-for"):
        address = f"{address} for {came_from[:100]!r}"
    names = (viewer(request).name, *(request.headers.get(name) for name in _LOGINS))
    # What a header says goes into a log: quoted, and not at any length.
    return next((f"{name[:100]!r} at {address}" for name in names if name), address)


async def suggestion(request: Request) -> Response:
    """One suggestion: the list of its app, with it open."""
    app, generation_id = request.path_params["app"], request.path_params["generation_id"].lower()
    if not is_one(app, generation_id):
        raise HTTPException(404, "no such suggestion: an address is /suggestions/APP/UUID")
    return RedirectResponse(f"../../suggestions?app={app}&period=90d&open={app}~{generation_id}")
