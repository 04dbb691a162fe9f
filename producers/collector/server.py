"""The composition root: settings to a server that runs until it is told to end.

On SIGTERM: `/readyz` turns to 503, and `drain_delay_s` later no connection is accepted any more; requests under way are
answered, records on their way are awaited, and then the process ends.
"""

import asyncio
import contextlib
import gc
import logging
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import cache
from types import FrameType
from typing import Final

import uvicorn
from prometheus_client import start_http_server
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from keeprate.producers.collector import answers, metrics
from keeprate.producers.collector.announcement import announcement
from keeprate.producers.collector.endpoints import Collector
from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.gate.access import Access
from keeprate.producers.collector.gate.addresses import ClientAddresses, networks
from keeprate.producers.collector.gate.connections import FRAMING_BYTES, Connections
from keeprate.producers.collector.gate.cross_origin import CrossOrigin
from keeprate.producers.collector.gate.keys import Keys
from keeprate.producers.collector.gate.limits import MemoryBudget, RateLimit
from keeprate.producers.collector.openapi import document
from keeprate.producers.collector.otel.follower import Follower
from keeprate.producers.collector.otel.identity import Aliases
from keeprate.producers.collector.publisher import Publisher
from keeprate.producers.collector.settings import CollectorSettings

log = logging.getLogger("keeprate.collector")

_FILES: Final = 65_536
"""What the process may have open, where the system lets it: connections, also those that are still greeting by TLS."""


def build(settings: CollectorSettings) -> Starlette:
    """The application. It connects to Kafka when it starts, and leaves no record unacknowledged when it ends."""
    described = document(settings.max_body_bytes)

    async def openapi(collector: Collector, request: Request) -> Response:
        collector.admit(request)
        return Response(described, media_type="application/json")

    return Starlette(
        routes=[
            Route("/v1/events", _Measured("/v1/events", Collector.events), methods=["POST"]),
            Route("/v1/traces", _Measured("/v1/traces", Collector.traces), methods=["POST"]),
            Route("/v1/logs", _Measured("/v1/logs", Collector.logs), methods=["POST"]),
            Route("/v1/metrics", _Measured("/v1/metrics", Collector.otel_metrics), methods=["POST"]),
            Route("/healthz", _health),
            Route("/readyz", _ready),
            Route("/openapi.json", _Measured("/openapi.json", openapi), methods=["GET"]),
        ],
        middleware=[Middleware(CrossOrigin)],
        lifespan=_lifespan(settings),
    )


def _lifespan(settings: CollectorSettings) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        publisher = _publisher(settings)
        collector = assemble(settings, publisher)
        follower = None
        if settings.follow_hours:
            follower = Follower(settings.brokers, collector.aliases, settings.follow_hours, settings.kafka)
        app.state.collector, app.state.follower = collector, follower
        metrics.WAITING.set_function(lambda: publisher.waiting)
        metrics.BODY_BYTES.set_function(lambda: collector.budget.used_bytes)
        yield
        if follower is not None:
            await asyncio.to_thread(follower.close)
        if left := await publisher.close(settings.drain_timeout_s):
            log.error("%d events were not acknowledged; their clients were told to send them again", left)

    return lifespan


def _publisher(settings: CollectorSettings) -> Publisher:
    return Publisher(
        settings.brokers,
        ack_timeout_s=settings.ack_timeout_s,
        kafka=settings.kafka,
        on_error=lambda name: metrics.BROKER_ERRORS.labels(name).inc(),
    )


def assemble(settings: CollectorSettings, publisher: Publisher) -> Collector:
    """What the endpoints share, by the settings."""
    keys = Keys(settings.keys_path)
    return Collector(
        publisher=publisher,
        access=Access(None if settings.keyless else keys, ClientAddresses(networks(settings.trusted_proxies))),
        salt=keys.salt(),
        rate=RateLimit(settings.rate_per_s),
        budget=MemoryBudget(settings.max_memory_bytes, max(settings.max_memory_bytes // 4, settings.max_body_bytes)),
        aliases=Aliases(),
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
    )


Endpoint = Callable[[Collector, Request], Awaitable[Response]]


class _Measured:
    """An endpoint whose requests are counted and timed. Takes ASGI as it is, not the layers that Starlette puts around
    a function: all that is raised here on purpose is answered here."""

    def __init__(self, path: str, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._seconds = metrics.SECONDS.labels(path)
        # A status is one of a dozen, and to find its counter by its labels takes longer than to count.
        self._counted = cache(lambda status: metrics.REQUESTS.labels(path, status))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        started_s = time.perf_counter()
        try:
            response = await self._endpoint(request.app.state.collector, request)
        except RequestError as error:
            response = answers.error_answer(error)
        except ClientDisconnect:
            # Nobody reads this answer; the status is that of other servers for a client that went away.
            response = Response(status_code=499)
        self._counted(response.status_code).inc()
        self._seconds.observe(time.perf_counter() - started_s)
        await response(scope, receive, send)


async def _health(request: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _ready(request: Request) -> Response:
    collector: Collector = request.app.state.collector
    if collector.draining:
        return PlainTextResponse("draining\n", 503)
    if problem := await collector.publisher.problem():
        return PlainTextResponse(f"{problem}\n", 503)
    follower: Follower | None = request.app.state.follower
    if follower is not None and not follower.caught_up.is_set():
        return PlainTextResponse("reading the names of recent generations\n", 503)
    return PlainTextResponse("ready\n")


class _Server(uvicorn.Server):
    """Uvicorn's, with a delay between the signal and the end, in which a load balancer can look elsewhere."""

    def __init__(
        self, config: uvicorn.Config, app: Starlette, drain_delay_s: float, listening: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._app = app
        self._drain_delay_s = drain_delay_s
        self._listening = listening
        self._draining = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end. The second signal ends without waiting."""
        if self.should_exit or self._draining:
            self.should_exit = self.force_exit = True
            return
        self._draining = True
        collector: Collector | None = getattr(self._app.state, "collector", None)
        if collector is None or not self._drain_delay_s:
            self.should_exit = True
            return
        collector.draining = True
        # A signal handler may run between any two steps of the loop, so the loop is asked from outside.
        collector.publisher.loop.call_soon_threadsafe(self._end_later)

    def _end_later(self) -> None:
        asyncio.get_running_loop().call_later(self._drain_delay_s, setattr, self, "should_exit", True)


def _allow_files(count: int) -> None:
    """Let the process have so many files and connections open, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def serve(settings: CollectorSettings, say: Callable[[str], None] = log.info) -> None:
    """Run until SIGTERM or Ctrl-C. Raises SettingsError, OSError or ssl.SSLError when it cannot start.

    say: takes what there is to say once it listens.
    """
    settings.check()
    keys = Keys(settings.keys_path)
    keys.list()
    # Decoded bodies have no cycles, and a collection amid a million of their objects would take a second.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    _allow_files(_FILES)
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, settings.metrics_host, metrics.REGISTRY)

    def listening() -> None:
        now = datetime.now(UTC)
        say(announcement(settings, sum(not key.refused_since(now) for key in keys.list())))

    app = build(settings)
    _Server(_configured(app, settings), app, settings.drain_delay_s, listening).run()


def _connections(settings: CollectorSettings) -> Connections:
    connections = Connections(
        settings.max_connections,
        settings.max_connections_per_address,
        exempt=ClientAddresses(networks(settings.trusted_proxies)).is_proxy,
        refused=lambda limit: metrics.CROWDED.labels(limit).inc(),
        max_message_bytes=settings.max_body_bytes + FRAMING_BYTES,
    )
    metrics.CONNECTIONS.set_function(lambda: len(connections))
    return connections


def _configured(app: Starlette, settings: CollectorSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_connections(settings).protocol(),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        # Through this process' own log, whatever its format is.
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_timeout_s),
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=str(settings.tls_client_ca) if settings.tls_client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE,
    )
