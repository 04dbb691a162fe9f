"""The client: what an app opens once and emits through."""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, Unpack

from keeprate.producers import kafka
from keeprate.producers.backlog import Backlog
from keeprate.producers.delivery import Delivery
from keeprate.producers.errors import ClosedError, ContractError, FullError, SettingsError
from keeprate.producers.generation import Emitter, Generation, GenerationFields, choice_texts, messages
from keeprate.producers.stats import DropReason, Stats
from keeprate.schemas.decode import encode, validate
from keeprate.schemas.events import MAX_EVENT_BYTES, SCHEMA_VERSION
from keeprate.schemas.ids import foreign_id, uuid7

log = logging.getLogger("keeprate.producers")

SEGMENT_BYTES: Final = 4 << 20
MEMORY_BYTES: Final = 32 << 20
_GENERATIONS, _FEEDBACK = 0, 1
_REPEATED: Final = ("generation_id", "user", "session", "trace_id")
"""What a generation's feedback repeats of it."""


class Keeprate:
    """Emits an app's generations and what users do with them.

    `emit` and every method that emits validate the event, give it an id and a time, and return: they wait for no disk
    and no broker, and raise nothing into the app. What could not be taken is counted in `stats().dropped`.
    The client may be used by any number of threads, and from asyncio.

    app: the name under which the metrics appear. environment: for example production.
    brokers: Kafka's bootstrap servers; the variable KEEPRATE_BROKERS, or the local stack, when None.
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
        strict: bool = False,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        self.app = app
        self._brokers = brokers or os.environ.get("KEEPRATE_BROKERS") or "127.0.0.1:9092"
        self._strict = strict
        self._kafka = dict(kafka or {})
        self._envelope: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "app": app, "environment": environment}
        self._refusals: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._check_settings()
        self._open()

    def generation(self, **fields: Unpack[GenerationFields]) -> Generation:
        """Emit a generation, and return the handle for what becomes of it. Fields: `GenerationFields`."""
        event: dict[str, Any] = {**fields, "type": "generation"}
        external_id = event.get("external_id")
        identity = event.get("generation_id") or (foreign_id(self.app, external_id) if external_id else uuid7())
        event["generation_id"] = identity
        if "input" in event:
            event["input"] = messages(event["input"], "user")
        outputs: list[str] = []
        if "output" in event:
            event["output"] = messages(event["output"], "assistant")
            outputs = choice_texts(event["output"])
        event.setdefault("outcome", _outcome(event, outputs))
        self.emit(event)
        origin: dict[str, Any] = {
            name: event[name] for name in ("generation_id", "user", "session", "trace_id") if name in event
        }
        return Generation(self._emitter(), origin, outputs)

    def feedback(self, generation_id: str, *, choice_index: int = 0, **origin: Any) -> Generation:
        """The handle of a generation that was made elsewhere. origin: user, session and the like, for every event."""
        return Generation(self._emitter(), {"generation_id": generation_id, **origin}, choice_index=choice_index)

    def new_id(self) -> str:
        """A generation_id to hand out before the call is made."""
        return uuid7()

    def emit(self, event: Mapping[str, Any], *, block: bool = False, timeout_s: float | None = None) -> bool:
        """Take one event of `keeprate.schemas.events`; whether it was taken.

        What the event leaves out is filled in: event_id, occurred_at, schema_version, app, environment; producer_id and
        producer_seq are always the client's. The event itself is left as it is.
        block: wait for room, for an import; FullError after timeout_s. Such a client evicts nothing.
        """
        given = {name: value for name, value in event.items() if value is not None}
        full = {**self._envelope, "event_id": uuid7(), "occurred_at": time.time_ns() // 1_000_000, **given}
        full["producer_id"] = self.producer_id
        full.pop("producer_seq", None)
        try:
            checked = validate(full)
            body = encode(checked)
        except ContractError as error:
            return self._refuse(error)
        except ValueError as error:
            return self._refuse(ContractError("invalid", f"not JSON: {error}"))
        if len(body) > MAX_EVENT_BYTES - 64:
            return self._refuse(ContractError("too_large", f"{len(body)} bytes; the limit is {MAX_EVENT_BYTES}"))
        topic = _GENERATIONS if checked["type"] == "generation" else _FEEDBACK
        began_s = time.monotonic()
        reason = self._delivery.put(topic, checked["generation_id"].encode(), body, timeout_s if block else 0.0)
        if reason is None:
            return True
        if block or self._strict:
            raise FullError(time.monotonic() - began_s) if reason == "full" else ClosedError()
        return False

    def stats(self) -> Stats:
        """What became of every event, in numbers that add up."""
        with self._lock:
            refusals = dict(self._refusals)
        return replace(self._delivery.stats(), refusals=refusals)

    def flush(self, timeout_s: float | None = None) -> int:
        """Wait until a broker has acknowledged everything emitted so far; how many events it has not."""
        return self._delivery.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Take no more events, and deliver those taken for at most `timeout_s`."""
        self._delivery.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _emitter(self) -> Emitter:
        return Emitter(self.emit, time.monotonic)

    def _check_settings(self) -> None:
        probe = {"type": "action", "action": "shown", "event_id": uuid7(), "generation_id": uuid7(), "occurred_at": 1}
        try:
            validate({**self._envelope, **probe})
        except ContractError as error:
            raise SettingsError(error.field, error.reason) from None
        # Opened and let go, so that a wrong setting is refused here and not on a thread.
        self._open_producer(lambda _: None)

    def _open_producer(self, on_error: Any) -> Any:
        return kafka.open_producer(self._brokers, f"keeprate-{self.app}", self._kafka, on_error)

    def _open(self) -> None:
        self.producer_id = uuid7()
        backlog = Backlog(segment_bytes=SEGMENT_BYTES, limit_bytes=MEMORY_BYTES, memory_bytes=MEMORY_BYTES)
        self._delivery = Delivery(backlog, self._open_producer)

    def _refuse(self, error: ContractError) -> bool:
        reason: DropReason = "too_large" if error.error_type == "too_large" else "invalid"
        self._delivery.count_drop(reason)
        kind = f"{error.error_type} {error.field}".strip()
        with self._lock:
            self._refusals[kind] += 1
            is_first = self._refusals[kind] == 1
        if self._strict:
            raise error
        if is_first:
            log.error("an event was dropped, and those like it will be without another word: %s", error)
        return False


def _outcome(event: Mapping[str, Any], outputs: list[str]) -> str | None:
    if event.get("error_type"):
        return "failed"
    if "output" not in event:
        return None
    return "produced" if any(outputs) or not outputs else "empty"
