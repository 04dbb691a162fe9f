"""The page as an ASGI application: its files, its API, and who answers what."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from typing import Final

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from keeprate.deploy.alerting.alertmanager import Alertmanager
from keeprate.deploy.page import documents
from keeprate.deploy.page.access.doors import PageAccess
from keeprate.deploy.page.access.gate import Gate
from keeprate.deploy.page.access.headers import Headers
from keeprate.deploy.page.access.login import me
from keeprate.deploy.page.api.asking import Api, described
from keeprate.deploy.page.api.description import PATH as DESCRIPTION
from keeprate.deploy.page.api.description import Offered, description
from keeprate.deploy.page.api.questions import OWN, QUESTIONS, SCREENS
from keeprate.deploy.page.exploring import addresses, tables
from keeprate.deploy.page.files import Files, charts, charts_name
from keeprate.deploy.page.refusals import HANDLERS
from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.page.reviewing.routes import Reviews
from keeprate.deploy.page.runbook import PATH as RUNBOOK
from keeprate.deploy.page.runbook import runbook
from keeprate.deploy.page.source import Source
from keeprate.sinks.store.clickhouse import StoreError

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def now_utc() -> datetime:
    return datetime.now(UTC)


def page(
    source: Source,
    hosts: Sequence[str] = LOOPBACK,
    now: Callable[[], datetime] = now_utc,
    access: PageAccess = PageAccess(),  # noqa: B008, it is frozen
    trace_url: str = "",
    desk: Desk | None = None,
    alertmanager: Alertmanager | None = None,
) -> Starlette:
    """The application over a store.

    hosts: the names under which a browser may ask for it. A foreign name that leads here is refused, because a page
    elsewhere could read everything through it. access: whom it lets in, by default anybody.
    trace_url: a template of addresses of traces elsewhere. desk: where experts review; None for a page that only reads.
    alertmanager: whose alerts the page shows; None where it was told of none.
    """
    api = Api(source, now, trace_url, desk, alertmanager)

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
        Route("/api/prompts", api.prompts),
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
    routes.insert(0, Route(DESCRIPTION, partial(described, document)))
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


async def _healthy(request: Request) -> Response:
    # The page's own health: it serves, also while the store does not. /api/status tells of the store.
    return PlainTextResponse("ok\n")
