"""What a browser is told about pages of other origins (CORS): only those that some key allows may send and read.

The check that counts is `access`, which sees the key; this one only lets the browser ask and the page read the answer.
"""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keeprate.producers.collector.gate.access import Access

_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, idempotency-key, x-api-key",
    "Access-Control-Max-Age": "7200",
}


class CrossOrigin:
    """Answers what browsers ask, and adds what they need to the other answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin")
        if origin is None:
            await self._app(scope, receive, send)
            return
        access: Access = scope["app"].state.collector.access
        allowed = access.allows(origin)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin, allowed)(scope, receive, send)
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered.add_vary_header("Origin")
                if allowed:
                    answered["Access-Control-Allow-Origin"] = origin
                    answered["Access-Control-Expose-Headers"] = "retry-after"
            await send(message)

        await self._app(scope, receive, send_readable)


def _preflight(origin: str, allowed: bool) -> Response:
    if not allowed:
        reason = f"no key is for pages of {origin[:200]}: keeprate keys create APP --scope feedback --origin ORIGIN\n"
        return PlainTextResponse(reason, 403, {"Vary": "Origin"})
    return Response(status_code=204, headers={**_PREFLIGHT, "Access-Control-Allow-Origin": origin, "Vary": "Origin"})
