"""The client: what an app opens once and emits through."""

import asyncio
import logging
import os
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, ParamSpec, Self, TypeVar, Unpack

from pydantic_core import to_json

from keeprate.producers import kafka, lifetime
from keeprate.producers.backlog import Backlog
from keeprate.producers.calls import Call, Reader, latest_generation, traced
from keeprate.producers.content import ContentMode, ContentPolicy, RedactionError
from keeprate.producers.delivery import Delivery
from keeprate.producers.errors import ClosedError, ContractError, FullError, SettingsError
from keeprate.producers.fields import GenerationFields, complete
from keeprate.producers.generation import Emitter, Generation
from keeprate.producers.outlet import Outlet
from keeprate.producers.responses import read_response
from keeprate.producers.stats import Stats
from keeprate.producers.supply import Supply
from keeprate.producers.tracking import Clock, Reread, Tracker
from keeprate.schemas.decode import validate
from keeprate.schemas.events import MAX_EVENT_BYTES, SCHEMA_VERSION
from keeprate.schemas.ids import foreign_id, uuid7

log = logging.getLogger("keeprate.producers")

SEGMENT_BYTES: Final = 4 << 20
MEMORY_BYTES: Final = 32 << 20
SPOOL_BYTES: Final = 256 << 20
_SEQUENCE_BYTES: Final = 40
"""Room for the producer_seq, which is added last."""
_GENERATIONS, _FEEDBACK = 0, 1
_REPEATED: Final = ("generation_id", "user", "session", "trace_id")
"""What a generation's feedback repeats of it."""

P = ParamSpec("P")
R = TypeVar("R")


class Keeprate:
    """Emits an app's generations and what users do with them.

    `emit` and every method that emits validate the event, give it an id and a time, and return: they wait for no disk
    and no broker, and raise nothing into the app. What could not be taken is counted in `stats().dropped`.
    The client may be used by any number of threads, from asyncio, and after a fork. It closes when the process exits.

    app: the name under which the metrics appear. environment: for example production.
    brokers: Kafka's bootstrap servers; the variable KEEPRATE_BROKERS, or the local stack, when None.
    content: what of texts leaves the process: `full`, `hashed` or `off`.
    redact: takes each text and gives what may be sent in its place.
    user_salt: for the hashes of users and texts, the same in every process; the variable KEEPRATE_USER_SALT when None.
    spool_dir: where events outlive the process; KEEPRATE_SPOOL_DIR, or the user's state directory, when None.
    spool_bytes: the most it may take; beyond it the oldest events go, and are counted. 0: memory only.
    reread: reads a tracked text again after a restart.
    strict: raise ContractError, FullError and ClosedError into the app, for development.
    kafka: more settings of librdkafka, for TLS and SASL.
    Raises SettingsError, naming the parameter.
    """

    def __init__(
        self,
        app: str,
        *,
        brokers: str | None = None,
        environment: str | None = None,
        content: ContentMode = "full",
        redact: Callable[[str], str] | None = None,
        user_salt: str | None = None,
        spool_dir: Path | str | None = None,
        spool_bytes: int = SPOOL_BYTES,
        reread: Reread | None = None,
        strict: bool = False,
        kafka: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.app = app
        self._brokers = brokers or os.environ.get("KEEPRATE_BROKERS") or "127.0.0.1:9092"
        self._strict = strict
        self._kafka = dict(kafka or {})
        self._spool_dir, self._spool_bytes = spool_dir, spool_bytes
        self._reread = reread
        self._clock = clock or Clock()
        salt = user_salt or os.environ.get("KEEPRATE_USER_SALT") or app
        self._content = ContentPolicy(content, salt.encode(), redact)
        self._reduces_content = not self._content.sends_all
        self._envelope: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "app": app}
        if environment is not None:
            self._envelope["environment"] = environment
        self._refusals: Counter[str] = Counter()
        self._check_settings()
        self._begin()
        self._delivery.prepare()
        lifetime.remember(self)

    def generation(self, **fields: Unpack[GenerationFields]) -> Generation:
        """Emit a generation, and return the handle for what becomes of it. Fields: `GenerationFields`."""
        event: dict[str, Any] = {**fields, "type": "generation"}
        external_id = event.get("external_id")
        identity = event.get("generation_id") or (foreign_id(self.app, str(external_id)) if external_id else uuid7())
        event["generation_id"] = identity
        outputs: list[str] = []
        try:
            outputs = complete(event, self.user_hash)
        except Exception as error:  # noqa: BLE001  what the app gave is of no shape we know
            self._refuse_call(error)
        else:
            self.emit(event)
        return Generation(self._emitter(), {name: event[name] for name in _REPEATED if name in event}, outputs)

    def feedback(
        self, generation_id: str, *, choice_index: int = 0, user: str | None = None, **origin: Any
    ) -> Generation:
        """The handle of a generation that was made elsewhere. origin: session and the like, for every event."""
        known = {"generation_id": generation_id, **origin}
        if user is not None:
            known["user"] = self.user_hash(user)
        return Generation(self._emitter(), known, choice_index=choice_index)

    def call(self, **fields: Unpack[GenerationFields]) -> Call:
        """A context manager around one call of a model, or one step; see `keeprate.producers.calls`."""
        return Call(self.generation, uuid7, fields)

    def traced(
        self, *, read: Reader = read_response, **fields: Unpack[GenerationFields]
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator that makes each call of a function a generation. read: fields from what it returns."""
        return lambda function: traced(self.call, function, read, fields)

    @property
    def latest(self) -> Generation | None:
        """What the last traced call of this context generated."""
        return latest_generation()

    def new_id(self) -> str:
        """A generation_id to hand out before the call is made."""
        return uuid7()

    def user_hash(self, user: str) -> str:
        """The pseudonym under which a user's events appear."""
        return self._content.user_hash(user)

    def emit(self, event: Mapping[str, Any], *, block: bool = False, timeout_s: float | None = None) -> bool:
        """Take one event of `keeprate.schemas.events`; whether it was taken.

        What the event leaves out is filled in: event_id, occurred_at, schema_version, app, environment; producer_id and
        producer_seq are always the client's. The event itself is left as it is, and its user is taken for a hash.
        block: wait for room, for an import; FullError after timeout_s. Such a client evicts nothing.
        """
        try:
            topic, key, body = self._encoded(event)
        except ContractError as error:
            return self._refuse(error)
        except RedactionError:
            return self._withhold()
        except Exception as error:  # noqa: BLE001  no event whatever may raise into the app
            return self._refuse_call(error)
        began_s = time.monotonic()
        reason = self._delivery.put(topic, key, body, timeout_s if block else 0.0)
        if reason and (block or self._strict):
            raise FullError(time.monotonic() - began_s) if reason == "full" else ClosedError()
        return reason is None

    def stats(self) -> Stats:
        """What became of every event, in numbers that add up."""
        return replace(self._delivery.stats(), refusals=dict(self._refusals))

    def flush(self, timeout_s: float | None = None) -> int:
        """Wait until a broker has acknowledged everything emitted so far; how many events it has not."""
        return self._delivery.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Take no more events, and deliver those taken for at most `timeout_s`; the rest stays in the spool."""
        lifetime.forget(self)
        self._tracker.close()
        self._delivery.close(timeout_s)

    async def aflush(self, timeout_s: float | None = None) -> int:
        """`flush`, without holding up the event loop."""
        return await asyncio.to_thread(self.flush, timeout_s)

    async def aclose(self, timeout_s: float = 5.0) -> None:
        """`close`, without holding up the event loop."""
        await asyncio.to_thread(self.close, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _emitter(self) -> Emitter:
        return Emitter(self.emit, self._refuse_call, self._tracker.track, self._clock)

    def _encoded(self, event: Mapping[str, Any]) -> tuple[int, bytes, bytes]:
        if None in event.values():
            event = {name: value for name, value in event.items() if value is not None}
        stamp = {**self._envelope, "event_id": uuid7(), "occurred_at": self._clock.wall_ms()}
        full = {**stamp, **event, "producer_id": self.producer_id}
        full.pop("producer_seq", None)
        checked: Mapping[str, Any] = validate(full)
        if self._reduces_content:
            checked = self._content.apply(checked)
        # There are no nulls in it, so this is `decode.encode` without looking for them again.
        body = to_json(checked)
        if len(body) > MAX_EVENT_BYTES - _SEQUENCE_BYTES:
            raise ContractError("too_large", f"{len(body)} bytes; the limit is {MAX_EVENT_BYTES}")
        topic = _GENERATIONS if checked["type"] == "generation" else _FEEDBACK
        return topic, checked["generation_id"].encode(), body

    def _refuse(self, error: ContractError) -> bool:
        self._delivery.count_drop("too_large" if error.error_type == "too_large" else "invalid")
        kind = f"{error.error_type} {error.field}".strip()
        with self._lock:
            self._refusals[kind] += 1
            is_first = self._refusals[kind] == 1
        if self._strict:
            raise error
        if is_first:
            log.error("an event was dropped, and those like it will be without another word: %s", error)
        return False

    def _refuse_call(self, error: Exception) -> bool:
        if self._strict:
            raise error
        return self._refuse(ContractError("invalid", f"{type(error).__name__}: {error}"))

    def _withhold(self) -> bool:
        self._delivery.count_drop("redaction")
        log.exception("an event was withheld, because the redaction hook failed")
        return False

    def _check_settings(self) -> None:
        probe = {"type": "action", "action": "shown", "event_id": uuid7(), "generation_id": uuid7(), "occurred_at": 1}
        try:
            validate({**self._envelope, **probe})
        except ContractError as error:
            raise SettingsError(error.field, error.reason) from None
        if 0 < self._spool_bytes < 4 * SEGMENT_BYTES:
            raise SettingsError("spool_bytes", f"0 for none, or at least {4 * SEGMENT_BYTES}")
        # Opened and let go, so that a wrong setting is refused here and not on a thread.
        self._open_producer(lambda _: None)

    def _open_producer(self, on_error: Callable[[str], None]) -> Any:
        return kafka.open_producer(self._brokers, f"keeprate-{self.app}", self._kafka, on_error)

    def _open_spool(self) -> Any:
        from keeprate.producers.spool import CHECKS, Spool, default_home

        # Spools of one app and cluster lie together: only these may adopt each other's events.
        cluster = f"{self.app}-{zlib.crc32(self._brokers.encode()):08x}"
        spool = Spool(Path(self._spool_dir or default_home()) / cluster, self.producer_id, SEGMENT_BYTES)
        self._tracker.keep_in(spool.directory / CHECKS)
        return spool

    def _begin(self) -> None:
        self.producer_id = uuid7()
        self._lock = threading.Lock()
        self._tracker = self._new_tracker()
        self._delivery: Outlet = self._new_delivery()

    def _new_tracker(self, *, has_thread: bool = True) -> Tracker:
        keeps_text = self._content.mode == "full"
        return Tracker(self.emit, reread=self._reread, keeps_text=keeps_text, clock=self._clock, has_thread=has_thread)

    def _new_delivery(self) -> Outlet:
        is_spooled = self._spool_bytes > 0 and os.name == "posix"
        limit_bytes = self._spool_bytes if is_spooled else MEMORY_BYTES
        backlog = Backlog(segment_bytes=SEGMENT_BYTES, limit_bytes=limit_bytes, memory_bytes=MEMORY_BYTES)
        supply = Supply(SEGMENT_BYTES, self._open_spool if is_spooled else None)
        return Delivery(backlog, supply, self._open_producer, self._tracker.resume)

    def _begin_anew(self) -> None:
        """In a forked child: the parent's events, thread and files are the parent's; the child begins with its own."""
        self._delivery.abandon()
        self._refusals.clear()
        self._begin()
