"""What each path does, from request to answer. The decisions are those of the pure modules; here is only the order.

1 whose key is it, and may it send now          401, 403, 429
2 read the body, inflated no further than a cap  408, 413, 415
3 items to records and refusals, within quotas   400, 403, 422, 429
4 records to Kafka, all acknowledged             503
5 answer                                         202, 207 or OTLP's 200
"""

import asyncio
import logging
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from prometheus_client import Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keeprate.producers.collector import answers, batches, metrics
from keeprate.producers.collector.batches import AcceptedEvent, Origin
from keeprate.producers.collector.errors import TOO_LARGE, Refusal, RequestError, item_refusal
from keeprate.producers.collector.gate.access import Access, Caller, check_scope
from keeprate.producers.collector.gate.bodies import Body
from keeprate.producers.collector.gate.limits import MemoryBudget, RateLimit, Spending, TenantTurns
from keeprate.producers.collector.gate.weight import check_items
from keeprate.producers.collector.otel import logs, otlp, otlp_json, spans
from keeprate.producers.collector.otel.identity import Aliases
from keeprate.producers.collector.otel.semconv import EVALUATION_EVENT
from keeprate.producers.collector.otel.signals import JSON, PROTOBUF
from keeprate.producers.collector.otel.spans import Mapped, RequestSource
from keeprate.producers.collector.publisher import Publisher

log = logging.getLogger("keeprate.collector")

_LARGE_BYTES: Final = 1 << 17
# Each piece of a body wakes the process up, so a body may not come in pieces of some bytes for ever.
_FREE_PIECES: Final = 2_000
_PIECE_BYTES: Final = 64

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Collector:
    """What the endpoints share.

    salt: hashes the user ids of OpenTelemetry. draining: set once the process was told to end.
    large: whose large body is decoded now.
    """

    publisher: Publisher
    access: Access
    salt: bytes
    rate: RateLimit
    budget: MemoryBudget
    aliases: Aliases
    max_body_bytes: int
    body_timeout_s: float
    draining: bool = False
    spending: Spending = field(default_factory=Spending)
    large: TenantTurns = field(default_factory=TenantTurns)
    _warned: set[str] = field(default_factory=set)

    async def events(self, request: Request) -> Response:
        """`POST /v1/events`."""
        caller = self.admit(request)
        async with _Content(self, request, caller.tenant) as body:
            self._charge_body(caller, body)
            key = request.headers.get("idempotency-key", "")[:200]
            feedback_only = caller.key is not None and caller.key.scope == "feedback"
            origin = Origin(caller.app, _now_ms(), self.aliases, key, feedback_only)
            kind = media_type(request)
            records, refusals, users = await self._decode(caller, body, batches.read_batch, body, kind, origin)
            self._charge_events(caller, len(records), users)
            self._warn_of_names(caller, users)
            refusals += await self._publish(records)
        _count(records, refusals)
        return answers.batch_answer(len(records), refusals)

    async def traces(self, request: Request) -> Response:
        """`POST /v1/traces`, OTLP/HTTP."""
        return await self._otlp(request, "traces", self._map_traces)

    async def logs(self, request: Request) -> Response:
        """`POST /v1/logs`, OTLP/HTTP."""
        return await self._otlp(request, "logs", self._map_logs)

    async def otel_metrics(self, request: Request) -> Response:
        """`POST /v1/metrics`: read and left aside, since an SDK sends all its signals to one address."""
        return await self._otlp(request, "metrics", _ignore_metrics)

    async def _otlp(
        self, request: Request, signal: answers.Signal, map_body: Callable[[bytes, bool, RequestSource], Mapped]
    ) -> Response:
        is_json = _is_json(request)
        try:
            caller = self.admit(request)
            check_scope(caller)
            async with _Content(self, request, caller.tenant) as body:
                self._charge_body(caller, body)
                source = RequestSource(caller.app, _now_ms(), self.aliases, self.salt)
                mapped = await self._decode(caller, body, map_body, body, is_json, source)
                self._charge_events(caller, len(mapped.records), frozenset())
                mapped.refusals += await self._publish(mapped.records)
        except RequestError as error:
            return answers.otlp_error(error, is_json)
        _count(mapped.records, mapped.refusals)
        for reason, count in mapped.ignored.items():
            metrics.IGNORED.labels(reason).inc(count)
        return answers.otlp_answer(signal, mapped.refusals, is_json)

    async def _decode(
        self, caller: Caller, body: bytes, decode: Callable[P, T], *args: P.args, **options: P.kwargs
    ) -> T:
        """Decode at once, or a large body in a thread, one at a time: the others are served and memory is bounded."""
        if len(body) < _LARGE_BYTES:
            return decode(*args, **options)
        async with self.large.turn(caller.tenant):
            return await asyncio.to_thread(decode, *args, **options)

    def _map_traces(self, body: bytes, is_json: bool, source: RequestSource) -> Mapped:
        found = otlp_json.decode_json_spans(body) if is_json else otlp.decode_protobuf_spans(body)
        judged = sum(event.name == EVALUATION_EVENT for span in found for event in span.events)
        check_items(judged, f"{EVALUATION_EVENT} events")
        mapped = spans.map_spans(found, source)
        on_spans = logs.map_span_events(found, source)
        mapped.records += on_spans.records
        mapped.refusals += on_spans.refusals
        return mapped

    def _map_logs(self, body: bytes, is_json: bool, source: RequestSource) -> Mapped:
        found = otlp_json.decode_json_logs(body) if is_json else otlp.decode_protobuf_logs(body)
        return logs.map_logs(found, source)

    async def _publish(self, records: list[AcceptedEvent]) -> list[Refusal]:
        if not records:
            return []
        refused = {
            index: item_refusal(index, "not_delivered", f"Kafka refuses this record: {error}")
            for index, error in await self.publisher.publish(records)
        }
        records[:] = [record for record in records if record.index not in refused]
        return list(refused.values())

    def admit(self, request: Request) -> Caller:
        """Who sends a request, if they may. Counts the request against the limit of its key."""
        caller = self.access.caller(request)
        self._warn_of_proxy(caller, request)
        if (connection := getattr(request.state, "connection", None)) is not None:
            connection.known = True
        with _LIMITS_COUNTED:
            self.rate.take(caller.bucket, time.monotonic())
        return caller

    def _charge_body(self, caller: Caller, body: bytes) -> None:
        if caller.key is not None:
            with _LIMITS_COUNTED:
                self.spending.take_bytes(caller.key, len(body), time.monotonic())

    def _charge_events(self, caller: Caller, count: int, users: Set[str]) -> None:
        if caller.key is not None and count:
            with _LIMITS_COUNTED:
                self.spending.take_events(caller.key, caller.address, count, users, time.monotonic())

    def _warn_of_proxy(self, caller: Caller, request: Request) -> None:
        """Say once that a peer speaks for others and is not believed: all its clients then count as one address."""
        if "x-forwarded-for" not in request.headers or request.client is None or "proxy" in self._warned:
            return
        if caller.key is not None and not self.access.addresses.is_proxy(request.client.host):
            self._warned.add("proxy")
            log.warning(
                "%s sends X-Forwarded-For and is not trusted, so its clients share the limits of one address; "
                "if it is your proxy, start with --trusted-proxy %s",
                request.client.host,
                request.client.host,
            )

    def _warn_of_names(self, caller: Caller, users: Set[str]) -> None:
        """Say once of an app that its users are named: what is sent here as `user` is kept as it is."""
        if caller.tenant not in self._warned and any("@" in user for user in users):
            self._warned.add(caller.tenant)
            log.warning(
                "%s sends addresses as users, and they are kept as they are: send a salted hash, the same for the same "
                "person, such as the SDK's client.user_hash",
                caller.tenant,
            )


class _LimitsCounted:
    """Counts a request that the block refuses, by the limit that it is beyond."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, RequestError):
            metrics.LIMITED.labels(error.error_type).inc()


_LIMITS_COUNTED: Final = _LimitsCounted()


class _Content:
    """The content of a request's body while it is handled; its memory is reserved until the block ends."""

    def __init__(self, collector: Collector, request: Request, tenant: str) -> None:
        self._collector = collector
        self._request = request
        self._tenant = tenant
        self._reserved = 0

    async def __aenter__(self) -> bytes:
        collector, headers = self._collector, self._request.headers
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:19]) > collector.max_body_bytes:
            reason = f"{declared[:19]} bytes; the limit is {collector.max_body_bytes}: send smaller batches"
            raise RequestError(TOO_LARGE, "too_large", reason, field="Content-Length", close=True)
        body = Body(headers.get("content-encoding", ""), collector.max_body_bytes)
        try:
            async with asyncio.timeout(collector.body_timeout_s):
                await self._read(body)
        except TimeoutError:
            self._release()
            reason = f"the body did not arrive within {collector.body_timeout_s:g} s"
            raise RequestError(408, "timeout", reason, close=True) from None
        except (RequestError, ClientDisconnect):
            self._release()
            raise
        try:
            return body.content()
        except RequestError:
            self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    async def _read(self, body: Body) -> None:
        pieces = received_bytes = 0
        async for chunk in self._request.stream():
            pieces += 1
            received_bytes += len(chunk)
            if pieces > _FREE_PIECES + received_bytes // _PIECE_BYTES:
                raise RequestError(408, "timeout", "the body comes in pieces of a few bytes; send it whole", close=True)
            self._add(body, chunk)

    def _add(self, body: Body, chunk: bytes) -> None:
        before = body.size_bytes
        body.add(chunk)
        self._collector.budget.take(self._tenant, body.size_bytes - before)
        self._reserved += body.size_bytes - before

    def _release(self) -> None:
        self._collector.budget.give_back(self._tenant, self._reserved)
        self._reserved = 0


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_json(request: Request) -> bool:
    kind = media_type(request)
    if kind not in (PROTOBUF, JSON):
        reason = f"{kind or 'no Content-Type'} is not OTLP/HTTP; send {PROTOBUF} or {JSON}"
        raise RequestError(415, "unsupported_type", reason, field="Content-Type")
    return kind == JSON


def _ignore_metrics(body: bytes, is_json: bool, source: RequestSource) -> Mapped:
    mapped = Mapped(source.received_ms)
    mapped.ignore("metrics")
    return mapped


def _count(records: list[AcceptedEvent], refusals: list[Refusal]) -> None:
    types: dict[str, int] = {}
    for record in records:
        types[record.type] = types.get(record.type, 0) + 1
    for kind, count in types.items():
        _events(kind).inc(count)
    for refused in refusals:
        metrics.REFUSED.labels(refused.error_type).inc()


@cache
def _events(kind: str) -> Counter:
    return metrics.EVENTS.labels(kind)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
