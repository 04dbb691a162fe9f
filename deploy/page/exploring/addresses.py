"""The address of one suggestion, and who reads what is there."""

import re
import uuid
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

_APP_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOGINS: Final = ("x-forwarded-user", "x-forwarded-email", "remote-user")


def is_one(app: str, generation_id: str) -> bool:
    """Whether they can be an app and a generation of it."""
    try:
        return _APP_NAME.fullmatch(app) is not None and str(uuid.UUID(generation_id)) == generation_id
    except ValueError:
        return False


def reader(request: Request) -> str:
    """Who asks, as far as it is known: a login that a proxy names, and the address."""
    address = request.client.host if request.client else "an unknown address"
    names = (request.headers.get(name) for name in _LOGINS)
    # What a header says goes into a log: quoted, and not at any length.
    return next((f"{name[:100]!r} at {address}" for name in names if name), address)


async def suggestion(request: Request) -> Response:
    """One suggestion: the list of its app, with it open."""
    app, generation_id = request.path_params["app"], request.path_params["generation_id"].lower()
    if not is_one(app, generation_id):
        raise HTTPException(404, "no such suggestion: an address is /suggestions/APP/UUID")
    return RedirectResponse(f"../../suggestions?app={app}&period=90d&open={app}~{generation_id}")
