"""The page as an ASGI application: its files, its API, and the headers that keep what users wrote from running."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keeprate.deploy.page import answers, documents, happenings
from keeprate.deploy.page.exploring import addresses, listed, sheet, suites
from keeprate.deploy.page.files import Files, charts, charts_name
from keeprate.deploy.page.parts import cases, health, more, verdicts, versions, why
from keeprate.deploy.page.parts.arrival import arrival
from keeprate.deploy.page.parts.released import releases
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.runbook import PATH as RUNBOOK
from keeprate.deploy.page.runbook import runbook
from keeprate.deploy.page.selection import Selection, SelectionError, collected, parse
from keeprate.deploy.page.source import Source
from keeprate.deploy.page.turns import RETRY_AFTER_S, BusyError, Turns
from keeprate.sinks.reading.lists.listing import Page, Place, Suggestion
from keeprate.sinks.store.clickhouse import StoreError, StoreUnavailableError

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
# What counts may take seconds; what shows single facts is quick, and is not to wait for it.
_COUNTING: Final = {"at_once": 6, "waiting": 24}
_FACTS: Final = {"at_once": 4, "waiting": 64}
_WAIT_S: Final = 10.0
_QUICK: Final = frozenset({"status", "feedback", "intake", "operations", "arrival"})
_HEADERS: Final = {
    # Inline styles, and only styles, because plotly.js brings its own in elements and attributes.
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_FOREIGN: Final = ("cross-site", "same-site")
_log = logging.getLogger(__name__)
_content = logging.getLogger("keeprate.content")

Answer = TypeVar("Answer")
Question = Callable[[Reads, Selection], answers.Json]
PARTS: Final[Mapping[str, Question]] = {
    "status": happenings.status,
    "summary": answers.summary,
    "releases": releases,
    "series": answers.series,
    "retention": answers.retention,
    "funnel": answers.funnel,
    "compare": answers.compare,
    "feedback": happenings.feedback,
    "intake": happenings.intake,
    "why": why.why,
    "where": verdicts.where,
    "alarms": verdicts.alarms,
    "more": more.more,
    "suggestions": listed.suggestions,
    "versions": versions.versions,
    "accounts": health.accounts,
    "drift": health.drift,
    "arrival": arrival,
    "cases": cases.cases,
}
"""What can be asked of a selection, each by itself."""

SCREENS: Final[Mapping[str, tuple[str, ...]]] = {
    "screen": ("status", "summary", "releases", "series", "retention", "funnel", "compare", "feedback"),
    "operations": ("status", "intake"),
    "explanation": ("status", "why"),
    "overview": ("where", "alarms", "more"),
    "explore": ("status", "suggestions"),
    "versions_screen": ("status", "versions"),
    "health": ("accounts", "drift"),
    "stories": ("status", "cases"),
}
"""What a page asks for at once: parts as of one time, which share the rows that they need."""


def screen(name: str, reads: Reads, selection: Selection) -> answers.Json:
    """All that a page shows of a selection, with what can be chosen."""
    frame = {"meta": happenings.meta(reads), "selected": happenings.selected(reads, selection)}
    return frame | {part: PARTS[part](reads, selection) for part in SCREENS[name]}


OWN: Final[Mapping[str, Sequence[str]]] = {
    "why": why.OWN,
    "explanation": why.OWN,
    "suggestions": listed.OWN,
    "explore": listed.OWN,
    "cases.jsonl": suites.OWN,
    "versions": versions.OWN,
    "versions_screen": versions.OWN,
}
"""The parameters that only some questions have."""

QUESTIONS: Final[dict[str, Question]] = {**{name: partial(screen, name) for name in SCREENS}, **PARTS}
"""What can be asked under /api/, of a selection."""


def now_utc() -> datetime:
    return datetime.now(UTC)


def page(source: Source, hosts: Sequence[str] = LOOPBACK, now: Callable[[], datetime] = now_utc) -> Starlette:
    """The application over a store.

    hosts: the names under which a browser may ask for it. A foreign name that leads here is refused, because a page
    elsewhere could read everything through it.
    """
    api = _Api(source, now)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        opening = asyncio.create_task(_open(source))
        yield
        await opening
        source.close()

    routes = [
        Route("/healthz", _healthy),
        Route("/api/meta", api.meta),
        Route("/api/generations/{app}/{generation_id}", api.generation),
        Route("/api/generations/{app}/{generation_id}/cases.jsonl", api.case),
        Route("/api/cases.jsonl", api.suite),
        Route("/api/suggestions.csv", api.sheet),
        *(Route(f"/api/{name}", partial(api.answer, name=name)) for name in QUESTIONS),
        Route(f"/{charts_name()}", charts),
        Route(RUNBOOK, runbook),
        *documents.routes(),
        Route("/suggestions/{app}/{generation_id}", addresses.suggestion),
        Mount("/", Files()),
    ]
    handlers: Mapping[Any, Callable[[Request, Exception], Response]] = {
        SelectionError: _bad_request,
        BusyError: _busy,
        StoreUnavailableError: _store_unavailable,
        StoreError: _store_refused,
        HTTPException: _http_error,
    }
    middleware = [
        Middleware(_Headers),
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        Middleware(GZipMiddleware, compresslevel=5),
    ]
    return Starlette(routes=routes, exception_handlers=handlers, middleware=middleware, lifespan=lifespan)


async def _open(source: Source) -> None:
    """Connect before anybody asks: it takes longer than most answers. Whoever asks is told when it fails."""
    with suppress(StoreError):
        await anyio.to_thread.run_sync(source.client)


class _Api:
    """The questions under /api/. They run in a few threads, and share what they read."""

    def __init__(self, source: Source, now: Callable[[], datetime]) -> None:
        self._source = source
        self._now = now
        self._recent = Recent(time.monotonic)
        self._counting = Turns(**_COUNTING, wait_s=_WAIT_S)
        self._facts = Turns(**_FACTS, wait_s=_WAIT_S)

    async def answer(self, request: Request, name: str) -> Response:
        selection = await self._selection(request, name)
        lane = self._facts if name in _QUICK else self._counting
        return _json(await self._ask(lane, (name, selection), lambda reads: QUESTIONS[name](reads, selection)))

    async def _selection(self, request: Request, name: str) -> Selection:
        given = parse(collected(request.query_params.multi_items()), OWN.get(name, ()))
        return await self._ask(self._facts, ("known", given), lambda reads: happenings.known(reads, given))

    async def sheet(self, request: Request) -> Response:
        """A list as CSV, page after page, so that its length takes time and no memory."""
        selection = await self._selection(request, "suggestions")

        async def page_from(place: Place | None) -> Page:
            asked = listed.from_on(selection, place, listed.MOST_ROWS)
            return await self._ask(self._counting, ("sheet", asked), lambda reads: listed.rows_of(reads, asked))

        async def text(found: Page) -> AsyncIterator[str]:
            yield sheet.head()
            while True:
                yield sheet.lines(map(listed.row_json, found.rows))
                if found.next is None:
                    break
                found = await page_from(found.next)

        headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="suggestions.csv"'}
        return StreamingResponse(text(await page_from(None)), headers=headers, media_type="text/csv")

    async def meta(self, request: Request) -> Response:
        return _json(await self._ask(self._facts, "meta", happenings.meta))

    async def generation(self, request: Request) -> Response:
        app, generation_id = request.path_params["app"], request.path_params["generation_id"].lower()
        if not addresses.is_one(app, generation_id):
            raise HTTPException(404, "no such generation: an address is /api/generations/APP/UUID")
        key = ("generation", app, generation_id)
        found = await self._ask(self._facts, key, lambda reads: happenings.generation(reads.client, app, generation_id))
        if found is None:
            raise HTTPException(404, "the store holds no event of this generation")
        _content.info("content of %s %s was read by %s", app, generation_id, addresses.reader(request))
        return _json(found)

    async def suite(self, request: Request) -> Response:
        """A list as a suite of test cases. It reads the content of each suggestion, and each is logged."""
        selection = await self._selection(request, "cases.jsonl")
        form = suites.form_of(selection)
        return await self._cases(request, form, lambda reads: listed.rows_of(reads, suites.bounded(selection)).rows)

    async def case(self, request: Request) -> Response:
        """One suggestion as a suite."""
        app, generation_id = request.path_params["app"], request.path_params["generation_id"].lower()
        if not addresses.is_one(app, generation_id):
            raise HTTPException(404, "no such generation: an address is /api/generations/APP/UUID/cases.jsonl")
        form = suites.form_named(request.query_params.get("format", ""))
        return await self._cases(request, form, lambda reads: suites.rows_of_one(reads, app, generation_id))

    async def _cases(self, request: Request, form: str, rows: Callable[[Reads], Sequence[Suggestion]]) -> Response:
        base, seen = str(request.base_url), list[tuple[str, str]]()
        found = await self._ask(self._counting, object(), lambda reads: suites.gathered(reads, rows(reads), base, seen))
        for app, generation_id in seen:
            _content.info("content of %s %s was read by %s", app, generation_id, addresses.reader(request))
        return suites.answer(found, form)

    async def _ask(self, lane: Turns, key: Hashable, question: Callable[[Reads], Answer]) -> Answer:
        return await lane.ask(key, lambda: question(self._reads()))

    def _reads(self) -> Reads:
        return Reads(self._source.client(), self._now(), self._recent)


class _Headers:
    """Adds the security headers to every answer, errors included, and refuses the API to pages of other sites.

    Such a page could not read an answer, but it could ask for a thousand.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith("/api/") and Headers(scope=scope).get("sec-fetch-site") in _FOREIGN:
            refusal = _failure(403, "refused", "The page answers to its own site only.")
            await refusal(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)


async def _healthy(request: Request) -> Response:
    # The page's own health: it serves, also while the store does not. /api/status tells of the store.
    return PlainTextResponse("ok\n")


def _json(content: answers.Json) -> Response:
    headers = {"cache-control": "no-store"}
    try:
        return JSONResponse(content, headers=headers)
    except ValueError:
        # JSON has no NaN and no infinity, and an older version let them into the store.
        return JSONResponse(_finite(content), headers=headers)


def _finite(content: Any) -> Any:
    """The content with null for every number that is none."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    return [_finite(each) for each in content] if isinstance(content, list) else content


def _failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    error = {"error": {"code": code, "message": message}}
    return JSONResponse(error, status, {"cache-control": "no-store", **(headers or {})})


def _bad_request(request: Request, error: Exception) -> Response:
    return _failure(400, "bad_request", str(error))


def _busy(request: Request, error: Exception) -> Response:
    message = "Too many questions at once: this one was not asked."
    return _failure(503, "busy", message, {"retry-after": str(RETRY_AFTER_S)})


def _store_unavailable(request: Request, error: Exception) -> Response:
    # What a driver says of a refused connection names addresses and classes, and helps nobody who reads a page.
    _log.warning("the store did not answer: %s", error)
    message = "Is it running? `keeprate up` starts it, and KEEPRATE_STORE_URL says where it is."
    return _failure(503, "store_unavailable", message, {"retry-after": "5"})


def _store_refused(request: Request, error: Exception) -> Response:
    _log.error("the store refused a query: %s", error)
    message = "The store answers, but not this question. `keeprate migrate` brings its tables up to date."
    return _failure(500, "store_refused", message)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _failure(error.status_code, "not_found" if error.status_code == 404 else "refused", error.detail)
