"""What each path does, from request to answer. The decisions are those of the pure modules; here is only the order.

1 whose key is it, and may it send now          401, 429
2 read the body, inflated no further than a cap  408, 413, 415
3 items to records and refusals                  400, 422
4 records to Kafka, all acknowledged             503
5 answer                                         202, 207 or OTLP's 200
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keeprate.producers.collector import answers, batches, logs, metrics, otlp, otlp_json, spans
from keeprate.producers.collector.batches import Origin, Record
from keeprate.producers.collector.bodies import Body
from keeprate.producers.collector.errors import TOO_LARGE, Refusal, RequestError, item_refusal
from keeprate.producers.collector.identity import Aliases
from keeprate.producers.collector.keys import Keys
from keeprate.producers.collector.limits import MemoryBudget, RateLimit
from keeprate.producers.collector.publisher import Publisher
from keeprate.producers.collector.signals import JSON, PROTOBUF
from keeprate.producers.collector.spans import Mapped, Source

KEYLESS: Final = "keyless"
_LARGE_BYTES: Final = 1 << 18

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Collector:
    """What the endpoints share. keys: None takes any app's events without a key, for a laptop.

    salt: hashes the user ids of OpenTelemetry. draining: set once the process was told to end.
    large: held while a large body is decoded.
    """

    publisher: Publisher
    keys: Keys | None
    salt: bytes
    rate: RateLimit
    budget: MemoryBudget
    aliases: Aliases
    max_body_bytes: int
    body_timeout_s: float
    draining: bool = False
    large: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def events(self, request: Request) -> Response:
        """`POST /v1/events`."""
        app = self._authenticate(request)
        async with _Content(self, request) as body:
            key = request.headers.get("idempotency-key", "")[:200]
            origin = Origin(app, _now_ms(), self.aliases, key)
            records, refusals = await self._decode(body, _read_batch, body, media_type(request), origin)
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
        self, request: Request, signal: answers.Signal, map_body: Callable[[bytes, bool, Source], Mapped]
    ) -> Response:
        is_json = _is_json(request)
        try:
            app = self._authenticate(request)
            async with _Content(self, request) as body:
                source = Source(app, _now_ms(), self.aliases, self.salt)
                mapped = await self._decode(body, map_body, body, is_json, source)
                mapped.refusals += await self._publish(mapped.records)
        except RequestError as error:
            return answers.otlp_error(error, is_json)
        _count(mapped.records, mapped.refusals)
        for reason, count in mapped.ignored.items():
            metrics.IGNORED.labels(reason).inc(count)
        return answers.otlp_answer(signal, mapped.refusals, is_json)

    async def _decode(self, body: bytes, decode: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Decode at once, or a large body in a thread, one at a time: the others are served and memory is bounded."""
        if len(body) < _LARGE_BYTES:
            return decode(*args, **options)
        async with self.large:
            return await asyncio.to_thread(decode, *args, **options)

    def _map_traces(self, body: bytes, is_json: bool, source: Source) -> Mapped:
        found = otlp_json.decode_json_spans(body) if is_json else otlp.decode_protobuf_spans(body)
        mapped = spans.map_spans(found, source)
        on_spans = logs.map_span_events(found, source)
        mapped.records += on_spans.records
        mapped.refusals += on_spans.refusals
        return mapped

    def _map_logs(self, body: bytes, is_json: bool, source: Source) -> Mapped:
        found = otlp_json.decode_json_logs(body) if is_json else otlp.decode_protobuf_logs(body)
        return logs.map_logs(found, source)

    async def _publish(self, records: list[Record]) -> list[Refusal]:
        if not records:
            return []
        refused = {
            index: item_refusal(index, "not_delivered", f"Kafka refuses this record: {error}")
            for index, error in await self.publisher.publish(records)
        }
        records[:] = [record for record in records if record.index not in refused]
        return list(refused.values())

    def _authenticate(self, request: Request) -> str | None:
        """The app that the request's key is bound to, None without keys. Counts the request against its limit."""
        if self.keys is None:
            self.rate.take(KEYLESS, time.monotonic())
            return None
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        text = text.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        key = self.keys.find(text) if text else None
        if key is None:
            reason = "send a key of `keeprate keys create` as Authorization: Bearer KEY"
            raise RequestError(401, "unauthorized", reason, field="Authorization")
        self.rate.take(key.id, time.monotonic())
        return key.app


class _Content:
    """The content of a request's body while it is handled; its memory is reserved until the block ends."""

    def __init__(self, collector: Collector, request: Request) -> None:
        self._collector = collector
        self._request = request
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
                async for chunk in self._request.stream():
                    self._add(body, chunk)
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

    def _add(self, body: Body, chunk: bytes) -> None:
        before = body.size_bytes
        body.add(chunk)
        self._collector.budget.take(body.size_bytes - before)
        self._reserved += body.size_bytes - before

    def _release(self) -> None:
        self._collector.budget.give_back(self._reserved)
        self._reserved = 0


def _read_batch(body: bytes, kind: str, origin: Origin) -> tuple[list[Record], list[Refusal]]:
    return batches.accept(batches.read_items(body, kind), origin)


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_json(request: Request) -> bool:
    kind = media_type(request)
    if kind not in (PROTOBUF, JSON):
        reason = f"{kind or 'no Content-Type'} is not OTLP/HTTP; send {PROTOBUF} or {JSON}"
        raise RequestError(415, "unsupported_type", reason, field="Content-Type")
    return kind == JSON


def _ignore_metrics(body: bytes, is_json: bool, source: Source) -> Mapped:
    mapped = Mapped(source.received_ms)
    mapped.ignore("metrics")
    return mapped


def _count(records: list[Record], refusals: list[Refusal]) -> None:
    types: dict[str, int] = {}
    for record in records:
        types[record.type] = types.get(record.type, 0) + 1
    for kind, count in types.items():
        metrics.EVENTS.labels(kind).inc(count)
    for refused in refusals:
        metrics.REFUSED.labels(refused.error_type).inc()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
