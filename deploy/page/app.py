"""The page as an ASGI application: its files, its API, and who answers what."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from typing import Any, Final, TypeVar

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from keeprate.deploy.page import answers, documents, happenings
from keeprate.deploy.page.access.doors import PageAccess
from keeprate.deploy.page.access.gate import Gate, viewer
from keeprate.deploy.page.access.headers import Headers
from keeprate.deploy.page.access.login import me
from keeprate.deploy.page.access.viewer import Sight
from keeprate.deploy.page.api.description import PATH as DESCRIPTION
from keeprate.deploy.page.api.description import Offered, description
from keeprate.deploy.page.exploring import addresses, listed, sheet, suites, tables
from keeprate.deploy.page.files import Files, charts, charts_name
from keeprate.deploy.page.parts import cases, health, more, verdicts, versions, why
from keeprate.deploy.page.parts.agreement import agreement
from keeprate.deploy.page.parts.arrival import arrival
from keeprate.deploy.page.parts.released import releases
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.refusals import HANDLERS
from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.page.reviewing.routes import Reviews
from keeprate.deploy.page.runbook import PATH as RUNBOOK
from keeprate.deploy.page.runbook import runbook
from keeprate.deploy.page.selection import Selection, collected, parse
from keeprate.deploy.page.source import Source
from keeprate.deploy.page.turns import Turns
from keeprate.sinks.reading.lists.listing import Page, Place, Suggestion
from keeprate.sinks.reading.voices import Scales
from keeprate.sinks.store.clickhouse import StoreError

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
# What counts may take seconds; what shows single facts is quick, and is not to wait for it.
_COUNTING: Final = {"at_once": 6, "waiting": 24}
_FACTS: Final = {"at_once": 4, "waiting": 64}
_WAIT_S: Final = 10.0
_QUICK: Final = frozenset({"status", "feedback", "intake", "operations", "arrival"})
_content = logging.getLogger("keeprate.content")

Answer = TypeVar("Answer")
Question = Callable[[Reads, Selection], answers.Json | None]
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
    "agreement": agreement,
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
    "review_screen": ("status", "agreement"),
}
"""What a page asks for at once: parts as of one time, which share the rows that they need."""


def screen(name: str, reads: Reads, selection: Selection) -> answers.Json:
    """All that a page shows of a selection, with what can be chosen."""
    if "retention" in SCREENS[name]:
        reads.begin(selection)
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


def page(
    source: Source,
    hosts: Sequence[str] = LOOPBACK,
    now: Callable[[], datetime] = now_utc,
    access: PageAccess = PageAccess(),  # noqa: B008, it is frozen
    trace_url: str = "",
    desk: Desk | None = None,
) -> Starlette:
    """The application over a store.

    hosts: the names under which a browser may ask for it. A foreign name that leads here is refused, because a page
    elsewhere could read everything through it. access: whom it lets in, by default anybody.
    trace_url: a template of addresses of traces elsewhere. desk: where experts review; None for a page that only reads.
    """
    api = _Api(source, now, trace_url, desk)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        opening = asyncio.create_task(_open(source))
        yield
        await opening
        source.close()
        if desk is not None:
            await anyio.to_thread.run_sync(desk.close)

    routes: list[BaseRoute] = [
        Route("/healthz", _healthy),
        *access.routes,
        Route("/api/me", me),
        Route("/api/meta", api.meta),
        Route("/api/generations/{app}/{generation_id}", api.generation),
        Route("/api/generations/{app}/{generation_id}/cases.jsonl", api.case),
        Route("/api/cases.jsonl", api.suite),
        Route("/api/suggestions.csv", api.sheet),
        *(Route(f"/api/{name}.csv", partial(api.table, name=name)) for name in tables.TABLES),
        *(Route(f"/api/{name}", partial(api.answer, name=name)) for name in QUESTIONS),
        Route(f"/{charts_name()}", charts),
        Route(RUNBOOK, runbook),
        *Reviews(desk, api.quickly).routes(),
        *documents.routes(),
        Route("/suggestions/{app}/{generation_id}", addresses.suggestion),
        Mount("/", Files()),
    ]
    document = cache(partial(description, routes, Offered(QUESTIONS, SCREENS, OWN), version("keeprate")))
    routes.insert(0, Route(DESCRIPTION, partial(_described, document)))
    middleware = [
        Middleware(Headers),
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        *access.sessions,
        Middleware(Gate, access.recognise),
        Middleware(GZipMiddleware, compresslevel=5),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS, middleware=middleware, lifespan=lifespan)


async def _open(source: Source) -> None:
    """Connect before anybody asks: it takes longer than most answers. Whoever asks is told when it fails."""
    with suppress(StoreError):
        await anyio.to_thread.run_sync(source.client)


class _Api:
    """The questions under /api/. They run in a few threads, and share what they read."""

    def __init__(self, source: Source, now: Callable[[], datetime], trace_url: str, desk: Desk | None) -> None:
        self._source = source
        self._trace_url = trace_url
        self._now = now
        self._scales = desk.settings.scales if desk else Scales()
        self._recent = Recent(time.monotonic)
        self._counting = Turns(**_COUNTING, wait_s=_WAIT_S)
        self._facts = Turns(**_FACTS, wait_s=_WAIT_S)

    async def answer(self, request: Request, name: str) -> Response:
        return _json(await self._answer(request, name))

    async def _answer(self, request: Request, name: str) -> answers.Json | None:
        selection = await self._selection(request, name)
        lane = self._facts if name in _QUICK else self._counting
        return await self._ask(request, lane, (name, selection), lambda reads: QUESTIONS[name](reads, selection))

    async def _selection(self, request: Request, name: str) -> Selection:
        """What a request asks for, of the apps alone that whoever asks may see."""
        asked = parse(collected(request.query_params.multi_items()), OWN.get(name, ()))
        given = asked.within(viewer(request).sight.apps)
        return await self._ask(request, self._facts, ("known", given), lambda reads: happenings.known(reads, given))

    async def sheet(self, request: Request) -> Response:
        """A list as CSV, page after page, so that its length takes time and no memory."""
        selection = await self._selection(request, "suggestions")

        async def page_from(place: Place | None) -> Page:
            asked = listed.from_on(selection, place, listed.MOST_ROWS)
            return await self._ask(
                request, self._counting, ("sheet", asked), lambda reads: listed.rows_of(reads, asked)
            )

        async def text(found: Page) -> AsyncIterator[str]:
            yield sheet.head()
            while True:
                yield sheet.lines(map(listed.row_json, found.rows))
                if found.next is None:
                    break
                found = await page_from(found.next)

        first = text(await page_from(None))
        return StreamingResponse(first, headers=_attached("suggestions"), media_type="text/csv")

    async def table(self, request: Request, name: str) -> Response:
        """What a chart or a list shows, as CSV."""
        columns, rows = tables.table(name, await self._answer(request, tables.TABLES[name][0]))
        return Response(
            sheet.head(columns) + sheet.lines(rows, columns), headers=_attached(name), media_type="text/csv"
        )

    async def meta(self, request: Request) -> Response:
        """What can be chosen, and what each term means."""
        return _json(await self._ask(request, self._facts, "meta", happenings.meta))

    async def generation(self, request: Request) -> Response:
        """One generation and every event about it. That its texts were read is logged."""
        app, generation_id = request.path_params["app"], request.path_params["generation_id"].lower()
        if not addresses.is_one(app, generation_id):
            raise HTTPException(404, "no such generation: an address is /api/generations/APP/UUID")
        key = ("generation", app, generation_id)
        found = await self._ask(
            request, self._facts, key, lambda reads: happenings.generation(reads, app, generation_id)
        )
        if found is None:
            raise HTTPException(404, "the store holds no event of this generation")
        if not found["withheld"]:
            _content.info("content of %s %s was read by %s", app, generation_id, addresses.reader(request))
        return _json(found | {"trace_url": addresses.trace_link(self._trace_url, found["generation"])})

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
        found = await self._ask(
            request, self._counting, object(), lambda reads: suites.gathered(reads, rows(reads), base, seen)
        )
        for app, generation_id in seen:
            _content.info("content of %s %s was read by %s", app, generation_id, addresses.reader(request))
        return suites.answer(found, form)

    async def quickly(self, request: Request, key: Hashable, question: Callable[[Reads], Answer]) -> Answer:
        """The answer to a question about single facts."""
        return await self._ask(request, self._facts, key, question)

    async def _ask(self, request: Request, lane: Turns, key: Hashable, question: Callable[[Reads], Answer]) -> Answer:
        """The answer, of what whoever asks may read; shared with those who may read the same."""
        sight = viewer(request).sight
        return await lane.ask((sight, key), lambda: question(self._reads(sight)))

    def _reads(self, sight: Sight) -> Reads:
        return Reads(self._source.client(), self._now(), self._recent, sight=sight, scales=self._scales)


async def _described(document: Callable[[], answers.Json], request: Request) -> Response:
    """What can be asked, and the types of the answers: OpenAPI."""
    return _json(document())


async def _healthy(request: Request) -> Response:
    # The page's own health: it serves, also while the store does not. /api/status tells of the store.
    return PlainTextResponse("ok\n")


def _attached(name: str) -> dict[str, str]:
    return {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}.csv"'}


def _json(content: answers.Json | None) -> Response:
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
