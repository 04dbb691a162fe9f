"""The composition root: settings to a server that runs until it is told to end.

On SIGTERM: `/readyz` turns to 503, and `drain_delay_s` later no connection is accepted any more; requests under way are
answered, records on their way are awaited, and then the process ends.
"""

import asyncio
import contextlib
import gc
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keeprate.producers.collector import answers, metrics
from keeprate.producers.collector.connections import bounded_protocol
from keeprate.producers.collector.endpoints import Collector
from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.follower import Follower
from keeprate.producers.collector.identity import Aliases
from keeprate.producers.collector.keys import Keys
from keeprate.producers.collector.limits import MemoryBudget, RateLimit
from keeprate.producers.collector.openapi import document
from keeprate.producers.collector.publisher import Publisher

log = logging.getLogger("keeprate.collector")

PORT: Final = 4318
"""OpenTelemetry's own port for OTLP over HTTP, so that an SDK finds the collector by default."""


@dataclass(frozen=True)
class CollectorSettings:
    """How one collector runs.

    keys_path: None takes any app's events without a key. max_body_bytes: of one body once it is decompressed.
    max_memory_bytes: of all bodies at one moment. rate_per_s: requests a second and key, 0 for no limit.
    ack_timeout_s: how long a request waits for Kafka. follow_hours: how far back generations are read for their names,
    0 for not at all. drain_delay_s: from SIGTERM until connections are refused.
    """

    brokers: str
    keys_path: Path | None
    host: str = "127.0.0.1"
    port: int = PORT
    max_body_bytes: int = 16 << 20
    max_memory_bytes: int = 256 << 20
    max_connections: int = 2_000
    rate_per_s: float = 2_000.0
    body_timeout_s: float = 30.0
    ack_timeout_s: float = 10.0
    follow_hours: float = 24.0
    drain_delay_s: float = 0.0
    drain_timeout_s: float = 20.0
    allow_origins: Sequence[str] = ("*",)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    kafka: Mapping[str, Any] = field(default_factory=dict)


def build(settings: CollectorSettings) -> Starlette:
    """The application. It connects to Kafka when it starts, and leaves no record unacknowledged when it ends."""
    described = document(settings.max_body_bytes)

    async def openapi(request: Request) -> Response:
        return Response(described, media_type="application/json")

    return Starlette(
        routes=[
            Route("/v1/events", _measured("/v1/events", Collector.events), methods=["POST"]),
            Route("/v1/traces", _measured("/v1/traces", Collector.traces), methods=["POST"]),
            Route("/v1/logs", _measured("/v1/logs", Collector.logs), methods=["POST"]),
            Route("/v1/metrics", _measured("/v1/metrics", Collector.otel_metrics), methods=["POST"]),
            Route("/healthz", _health),
            Route("/readyz", _ready),
            Route("/metrics", _metrics),
            Route("/openapi.json", openapi),
        ],
        middleware=[_cross_origin(settings)],
        lifespan=_lifespan(settings),
    )


def _cross_origin(settings: CollectorSettings) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=list(settings.allow_origins),
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "content-encoding", "idempotency-key", "x-api-key"],
        expose_headers=["retry-after"],
        max_age=86_400,
    )


def _lifespan(settings: CollectorSettings) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        publisher = _publisher(settings)
        collector = _collector(settings, publisher)
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


def _collector(settings: CollectorSettings, publisher: Publisher) -> Collector:
    keys = Keys(settings.keys_path) if settings.keys_path else None
    return Collector(
        publisher=publisher,
        keys=keys,
        salt=keys.salt() if keys else b"",
        rate=RateLimit(settings.rate_per_s),
        budget=MemoryBudget(settings.max_memory_bytes),
        aliases=Aliases(),
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
    )


Endpoint = Callable[[Collector, Request], Awaitable[Response]]


def _measured(path: str, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    seconds = metrics.SECONDS.labels(path)

    async def respond(request: Request) -> Response:
        started_s = time.perf_counter()
        try:
            response = await endpoint(request.app.state.collector, request)
        except RequestError as error:
            response = answers.error_answer(error)
        except ClientDisconnect:
            # Nobody reads this answer; the status is that of other servers for a client that went away.
            response = Response(status_code=499)
        metrics.REQUESTS.labels(path, response.status_code).inc()
        seconds.observe(time.perf_counter() - started_s)
        return response

    return respond


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


async def _metrics(request: Request) -> Response:
    return Response(generate_latest(metrics.REGISTRY), media_type="text/plain; version=0.0.4; charset=utf-8")


class _Server(uvicorn.Server):
    """Uvicorn's, with a delay between the signal and the end, in which a load balancer can look elsewhere."""

    def __init__(self, config: uvicorn.Config, app: Starlette, drain_delay_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_delay_s = drain_delay_s
        self._draining = False

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


def serve(settings: CollectorSettings) -> None:
    """Run until SIGTERM or Ctrl-C. Raises SettingsError, OSError or ssl.SSLError when it cannot start."""
    # Decoded bodies have no cycles, and a collection amid a million of their objects would take a second.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    app = build(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=bounded_protocol(settings.max_body_bytes),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_timeout_s),
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=str(settings.tls_client_ca) if settings.tls_client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE,
    )
    _Server(config, app, settings.drain_delay_s).run()
