"""What the page says when it does not answer: a status, a code for machines, and a sentence with the remedy."""

import logging
from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

from keeprate.deploy.page.documents import bare
from keeprate.deploy.page.selection import SelectionError
from keeprate.deploy.page.turns import RETRY_AFTER_S, BusyError
from keeprate.sinks.store.clickhouse import StoreError, StoreUnavailableError

_MAIN: Final = """<main class="login">
  <h1>{title}</h1>
  <p>{message}</p>
  <p><a class="apply" href="{up}">To the overview</a></p>
</main>
"""
_log = logging.getLogger(__name__)


def failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as the API has it."""
    error = {"error": {"code": code, "message": message}}
    return JSONResponse(error, status, {"cache-control": "no-store", **(headers or {})})


def refusal(scope: Scope, status: int, code: str, message: str) -> Response:
    """An error as whoever asks reads it: a page for a browser that goes there, else as the API has it."""
    path = scope["path"]
    if path.startswith("/api/") or "text/html" not in Headers(scope=scope).get("accept", ""):
        return failure(status, code, message)
    # From where they are, because a proxy may serve the page below a path of its own.
    up, title = "../" * (path.count("/") - 1) or "./", "Not found" if status == 404 else "Not answered"
    text = bare(title, _MAIN.format(title=title, message=escape(message), up=up), up=up)
    return HTMLResponse(text, status, {"cache-control": "no-store"})


def _bad_request(request: Request, error: Exception) -> Response:
    return failure(400, "bad_request", str(error))


def _busy(request: Request, error: Exception) -> Response:
    message = "Too many questions at once: this one was not asked."
    return failure(503, "busy", message, {"retry-after": str(RETRY_AFTER_S)})


def _store_unavailable(request: Request, error: Exception) -> Response:
    # What a driver says of a refused connection names addresses and classes, and helps nobody who reads a page.
    _log.warning("the store did not answer: %s", error)
    message = "Is it running? `keeprate up` starts it, and KEEPRATE_STORE_URL says where it is."
    return failure(503, "store_unavailable", message, {"retry-after": "5"})


def _store_refused(request: Request, error: Exception) -> Response:
    _log.error("the store refused a query: %s", error)
    message = "The store answers, but not this question. `keeprate migrate` brings its tables up to date."
    return failure(500, "store_refused", message)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "refused"
    # What Starlette says where nothing is served says no more than the status does.
    message = "There is no page at this address." if error.detail == HTTPStatus(404).phrase else error.detail
    return refusal(request.scope, error.status_code, code, message)


HANDLERS: Final[Mapping[Any, Callable[[Request, Exception], Response]]] = {
    SelectionError: _bad_request,
    BusyError: _busy,
    StoreUnavailableError: _store_unavailable,
    StoreError: _store_refused,
    HTTPException: _http_error,
}
"""By what is raised in a route."""
