"""The client: what an app opens once and emits through."""

import asyncio
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, ParamSpec, Self, TypeVar, Unpack, overload

from keeprate.producers.errors import ClosedError, ContractError, FullError, SettingsError
from keeprate.producers.sdk import lifetime
from keeprate.producers.sdk.calls import Call, CallScope, Reader, traced
from keeprate.producers.sdk.content import ContentMode, ContentPolicy, RedactionError
from keeprate.producers.sdk.fields import GenerationFields, complete
from keeprate.producers.sdk.generation import Emitter, Generation
from keeprate.producers.sdk.journal import Check
from keeprate.producers.sdk.refusals import RefusalLog, message_of
from keeprate.producers.sdk.requests import OF_FEEDBACK, Request
from keeprate.producers.sdk.responses import read_response
from keeprate.producers.sdk.stamping import Stamp
from keeprate.producers.sdk.tracking import Clock, Read, Reread, Tracker
from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.delivery import Delivery
from keeprate.producers.sending.outlet import Outlet
from keeprate.producers.sending.routes import route_of
from keeprate.producers.sending.stats import Stats
from keeprate.producers.sending.supply import Supply
from keeprate.schemas.decode import validate
from keeprate.schemas.events import SCHEMA_VERSION
from keeprate.schemas.ids import foreign_id, uuid7
from keeprate.schemas.kinds import FIRST_MS

log = logging.getLogger("keeprate.producers")

SEGMENT_BYTES: Final = 4 << 20
MEMORY_BYTES: Final = 32 << 20
SPOOL_BYTES: Final = 256 << 20
CLOSE_S: Final = 5.0
_REPEATED: Final = ("generation_id", "user", "session", "trace_id")
"""What a generation's feedback repeats of it."""
_NO_USER: Final = object()

P = ParamSpec("P")
R = TypeVar("R")


class Keeprate:
    """Emits an app's generations and what users do with them.

    `emit` and every method that emits validate the event, give it an id and a time, and return: they wait for no disk
    and no broker, and raise nothing into the app. What could not be taken is counted in `stats().dropped`.
    The client may be used by any number of threads, from asyncio, and after a fork. It closes when the process exits.

    app: the name under which the metrics appear. environment: for example production.
    brokers: Kafka's bootstrap servers; the variable KEEPRATE_BROKERS, or the local stack, when None. What it takes to
    be let in there is said by KEEPRATE_KAFKA_…: docs/deploying.md.
    url, key: of a collector, in place of brokers: KEEPRATE_URL and KEEPRATE_KEY. ca: authorities that vouch for it.
    content: what of texts leaves the process: `full`, `hashed` or `off`.
    redact: takes each text and gives what may be sent in its place. keep_attributes: names of attributes that are no
    content, and leave whatever `content` says.
    user_salt: for the hashes of users and texts, the same in every process; the variable KEEPRATE_USER_SALT when None.
    spool_dir: where events outlive the process; KEEPRATE_SPOOL_DIR, or the user's state directory, when None.
    spool_bytes: the most it may take; beyond it the oldest events go, and are counted. 0: memory only.
    reread: reads a tracked text again after a restart.
    strict: raise ContractError, FullError and ClosedError into the app, for development.
    kafka: more settings of librdkafka, over those.
    Raises SettingsError, naming the parameter.
    """

    def __init__(
        self,
        app: str,
        *,
        brokers: str | None = None,
        url: str | None = None,
        key: str | None = None,
        ca: Path | str | None = None,
        environment: str | None = None,
        content: ContentMode = "full",
        redact: Callable[[str], str] | None = None,
        keep_attributes: Collection[str] = (),
        user_salt: str | None = None,
        spool_dir: Path | str | None = None,
        spool_bytes: int = SPOOL_BYTES,
        reread: Reread | None = None,
        strict: bool = False,
        kafka: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.app = app
        self._route = route_of(app, brokers=brokers, kafka_settings=kafka, url=url, key=key, ca=ca)
        self._strict = strict
        self._spool_dir, self._spool_bytes = spool_dir, spool_bytes
        self._reread = reread
        self._clock = clock or Clock()
        salt = user_salt or os.environ.get("KEEPRATE_USER_SALT")
        self._is_warned = bool(salt)
        self._content = ContentPolicy(content, (salt or app).encode(), redact, frozenset(keep_attributes))
        envelope: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "app": app}
        if environment is not None:
            envelope["environment"] = environment
        self._stamp = Stamp(envelope, self._content, self._clock)
        if content == "hashed":
            self._warn_of_salt()
        # Functions that are traced, and handles, keep these: they must be right in a forked child too.
        self._scope = CallScope(self._generate, self.feedback, self._refuse, self._remark)
        self._emitter = Emitter(self.emit, self._refuse, self._track, self._clock)
        self._check_settings()
        self._begin()
        self._delivery.prepare()
        lifetime.remember(self)

    def generation(self, **fields: Unpack[GenerationFields]) -> Generation:
        """Emit a generation, and return the handle for what becomes of it. Fields: `GenerationFields`."""
        return self._generate(fields)

    def feedback(
        self, generation_id: str, *, choice_index: int = 0, user: str | None = None, **origin: Any
    ) -> Generation:
        """The handle of a generation that was made elsewhere. origin: session and the like, for every event."""
        said = self._scope.request.get()
        known = {**{name: said[name] for name in OF_FEEDBACK if name in said}, "generation_id": generation_id, **origin}
        if (user := known.pop("user", None) if user is None else user) is not None:
            known["user"] = self._pseudonym(user)
        return Generation(self._emitter, known, choice_index=choice_index)

    def request(self, **fields: Unpack[GenerationFields]) -> Request:
        """A context manager: what is generated within says these fields too, and feedback the user and session."""
        return Request(self._scope.request, fields)

    def call(self, **fields: Unpack[GenerationFields]) -> Call:
        """A context manager around one call of a model, or one step; see `keeprate.producers.sdk.calls`."""
        return Call(self._scope, fields)

    @overload
    def traced(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def traced(
        self, function: None = None, /, *, read: Reader = ..., **fields: Unpack[GenerationFields]
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def traced(self, function: Any = None, /, *, read: Reader = read_response, **fields: Any) -> Any:
        """A decorator that makes each call of a function a generation. read: fields from what it returns."""
        if function is None:
            return lambda each: traced(self._scope, each, read, fields)
        return traced(self._scope, function, read, fields)

    @property
    def latest(self) -> Generation:
        """What this client's last call generated, of those that ended in this thread or task.

        Where none has, it is a handle without an id, whose events are counted as refused.
        """
        return self._scope.latest.get() or Generation(self._emitter, {})

    def new_id(self) -> str:
        """A generation_id to hand out before the call is made."""
        return uuid7()

    def user_hash(self, user: str) -> str:
        """The pseudonym under which a user's events appear; empty for a user that has no text."""
        pseudonym = self._pseudonym(user)
        if isinstance(pseudonym, str):
            return pseudonym
        self._refusals.refuse(ContractError("invalid", "a text is wanted", "user"))
        return ""

    def emit(self, event: Mapping[str, Any], *, block: bool = False, timeout_s: float | None = None) -> bool:
        """Take one event of `keeprate.schemas.events`; whether it was taken.

        What the event leaves out is filled in: event_id, occurred_at, schema_version, app, environment; producer_id and
        producer_seq are always the client's. The event itself is left as it is, and its user is taken for a hash.
        block: wait for room, for an import; FullError after timeout_s. Such a client evicts nothing.
        """
        try:
            topic, key, body = self._stamp.encode(event, self.producer_id)
        except RedactionError:
            return self._refusals.withhold()
        except Exception as error:  # noqa: BLE001  no event whatever may raise into the app
            return self._refusals.refuse(error)
        began_s = time.monotonic()
        reason = self._delivery.put(topic, key, body, self._seconds(timeout_s, 0.0) if block is True else 0.0)
        if reason and (block is True or self._strict):
            raise FullError(time.monotonic() - began_s) if reason == "full" else ClosedError()
        return reason is None

    def stats(self) -> Stats:
        """What became of every event, in numbers that add up."""
        return replace(self._delivery.stats(), refusals=self._refusals.kinds)

    def flush(self, timeout_s: float | None = None) -> int:
        """Wait until a broker has acknowledged everything emitted so far; how many events it has not."""
        return self._delivery.flush(self._seconds(timeout_s, 0.0))

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Take no more events, and deliver those taken for at most `timeout_s`; the rest stays in the spool."""
        lifetime.detach(self)
        self._tracker.close()
        limit_s = self._seconds(timeout_s, CLOSE_S)
        self._delivery.close(CLOSE_S if limit_s is None else limit_s)

    async def aflush(self, timeout_s: float | None = None) -> int:
        """`flush`, without holding up the event loop."""
        return await asyncio.to_thread(self.flush, timeout_s)

    async def aclose(self, timeout_s: float = CLOSE_S) -> None:
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

    def _generate(self, fields: Mapping[str, Any]) -> Generation:
        event: dict[str, Any] = {**self._scope.request.get(), **fields, "type": "generation"}
        if event.get("user") is not None:
            event["user"] = self._pseudonym(event["user"])
        outputs: list[str] = []
        try:
            event["generation_id"] = self._identity(event)
            outputs = complete(event)
        except Exception as error:  # noqa: BLE001  what the app gave is of no shape we know
            self._refusals.refuse(error)
            event.setdefault("generation_id", uuid7())
        else:
            self.emit(event)
        return Generation(self._emitter, {name: event[name] for name in _REPEATED if name in event}, outputs)

    def _refuse(self, error: Exception) -> bool:
        return self._refusals.refuse(error)

    def _remark(self, what: str, error: Exception) -> None:
        self._refusals.remark(what, error)

    def _track(self, check: Check, read: Read, accepted_s: float, horizons_s: Sequence[int]) -> None:
        self._tracker.track(check, read, accepted_s, horizons_s)

    def _identity(self, event: Mapping[str, Any]) -> Any:
        if given := event.get("generation_id"):
            return given
        external_id = event.get("external_id")
        if external_id is None:
            return uuid7()
        try:
            return foreign_id(self.app, str(external_id))
        except Exception as error:
            raise ContractError("invalid", f"give a text: {message_of(error)}", "external_id") from error

    def _pseudonym(self, user: Any) -> object:
        """The user's hash, or what no event takes for a user."""
        self._warn_of_salt()
        try:
            return self._content.user_hash(user)
        except Exception:  # noqa: BLE001  each event of this user is refused for it, by the field's name
            return _NO_USER

    def _warn_of_salt(self) -> None:
        if self._is_warned:
            return
        self._is_warned = True
        log.warning(
            "hashes are made with the app's name, which anybody can guess, and then try names and texts: set user_salt "
            "or KEEPRATE_USER_SALT to a secret, the same in every process of the app"
        )

    def _seconds(self, given: Any, otherwise: float) -> float | None:
        """A time to wait, as the threads take it; None for ever. What is no time counts as `otherwise`."""
        try:
            if given is None or given >= 0:
                return None if given is None else min(float(given), threading.TIMEOUT_MAX)
            reason = f"{given} is no time to wait"
        except Exception as error:  # noqa: BLE001  anything may be given
            reason = message_of(error)
        self._refusals.refuse(ContractError("invalid", f"give seconds: {reason}", "timeout_s"))
        return otherwise

    def _check_settings(self) -> None:
        ids = {"event_id": uuid7(), "generation_id": uuid7()}
        probe = {"type": "action", "action": "shown", "occurred_at": FIRST_MS, **ids}
        try:
            validate({**self._stamp.envelope, **probe})
        except ContractError as error:
            raise SettingsError(error.field, error.reason) from None
        if 0 < self._spool_bytes < 4 * SEGMENT_BYTES:
            raise SettingsError("spool_bytes", f"0 for none, or at least {4 * SEGMENT_BYTES}")
        # So that a wrong setting is refused here and not on a thread.
        self._check_route()

    def _check_route(self) -> None:
        self._route.check()

    def _open_spool(self) -> Any:
        from keeprate.producers.sending.spool import CHECKS, Spool, default_home

        # Spools of one app and address lie together: only these may adopt each other's events.
        cluster = f"{self.app}-{zlib.crc32(self._route.address.encode()):08x}"
        spool = Spool(Path(self._spool_dir or default_home()) / cluster, self.producer_id, SEGMENT_BYTES)
        self._tracker.keep_in(spool.directory / CHECKS)
        return spool

    def _begin(self) -> None:
        self.producer_id = uuid7()
        self._refusals = RefusalLog(lambda reason: self._delivery.count_drop(reason), is_strict=self._strict)
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
        return Delivery(backlog, supply, self._route.exchange(), self._tracker.resume, self._refusals.report)

    def _begin_anew(self) -> None:
        """In a forked child: the parent's events, thread and files are the parent's; the child begins with its own."""
        self._delivery.abandon()
        self._begin()
