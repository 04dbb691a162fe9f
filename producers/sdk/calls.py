"""Calls: a context manager and a decorator that turn one call of a model, or one step of an agent, into a generation.

    with client.call(model="…", input=messages) as call:
        call.read(provider.create(messages))
    call.generation.shown()

    @client.traced(step="retrieve")
    def retrieve(question: str) -> list[str]: ...

Latency, time to the first token, tokens, outcome and errors are filled in. A call within a call is its child: it
carries `parent_generation_id`, across threads that copy the context and across tasks of asyncio. An exception of the
app is recorded and goes on its way.
"""

import asyncio
import contextlib
import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from keeprate.producers.errors import ContractError
from keeprate.producers.sdk.fields import GenerationFields, messages
from keeprate.producers.sdk.generation import Generation
from keeprate.producers.sdk.plain import plain
from keeprate.producers.sdk.refusals import message_of
from keeprate.producers.sdk.requests import no_request
from keeprate.producers.sdk.responses import read_response
from keeprate.producers.sdk.turns import Alternation
from keeprate.schemas.ids import uuid7

CANCELLED: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt)

Reader = Callable[[Any], dict[str, Any]]


# A context holds its variables for good, so these are for clients that an app opens once.
def _current() -> "ContextVar[Call | None]":
    return ContextVar("keeprate_call", default=None)


def _latest() -> ContextVar[Generation | None]:
    return ContextVar("keeprate_latest", default=None)


@dataclass(frozen=True)
class CallScope:
    """What calls need of their client; for each context the call that it is making and made last, and its request.

    generate: emits a generation. handle: of one by its id. refuse: an event was dropped; it raises to a strict client.
    remark: an event goes without a part.
    """

    generate: Callable[[Mapping[str, Any]], Generation]
    handle: Callable[[str], Generation]
    refuse: Callable[[Exception], bool]
    remark: Callable[[str, Exception], None]
    current: "ContextVar[Call | None]" = field(default_factory=_current)
    latest: ContextVar[Generation | None] = field(default_factory=_latest)
    request: ContextVar[Mapping[str, Any]] = field(default_factory=no_request)


class Call:
    """One call while it is being made; its generation is emitted when the block is left.

    id: its generation_id, known before the call, so that a page can send feedback on what it is still receiving.
    """

    def __init__(self, scope: CallScope, fields: GenerationFields) -> None:
        self._scope = scope
        self._fields: dict[str, Any] = dict(fields)
        self.id = self._allocated()
        self._fields["generation_id"] = self.id
        self._chunks: list[str] = []
        self._began_s = 0.0
        self._token: Token[Call | None] | None = None
        self._generation: Generation | None = None

    @property
    def generation(self) -> Generation:
        """The handle of what was generated. Inside the block it knows no text yet, and a strict client raises."""
        if self._generation is None:
            self._scope.refuse(
                RuntimeError("the call is not over: use call.generation after the with block, or call.id inside it")
            )
            return self._scope.handle(self.id)
        return self._generation

    def set(self, **fields: Any) -> Self:
        """Say more of the generation; `GenerationFields` names the fields."""
        self._fields.update(fields)
        return self

    def output(self, output: Any, **fields: Any) -> Self:
        """What the model wrote: a text, a message, or one of either per choice."""
        return self.set(output=output, **fields)

    def read(self, response: Any, reader: Reader = read_response) -> Self:
        """Take text, tokens, model and finish reason from a provider's response. What the call was told stays."""
        try:
            self._fields = {**reader(response), **self._fields}
        except Exception as error:  # noqa: BLE001  of the app's reader, or of the response itself
            self._scope.remark("response", error)
        return self

    def chunk(self, text: str) -> str:
        """A piece of a streamed output, handed back. The first one sets the time to the first token."""
        if not isinstance(text, str):
            kind = type(text).__name__
            self._scope.refuse(ContractError("invalid", f"a piece of the output is a text, not a {kind}", "output"))
            return text
        if not self._chunks:
            self._fields.setdefault("time_to_first_token_ms", self._elapsed_ms())
        self._chunks.append(text)
        return text

    def __enter__(self) -> Self:
        self.begin()
        self._token = self._scope.current.set(self)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if self._token is not None:
            # A coroutine may be closed in another context than it began in; there is then nothing to restore.
            with contextlib.suppress(ValueError, RuntimeError):
                self._scope.current.reset(self._token)
        self.end(error)

    def begin(self) -> None:
        """Start the clock, as a child of the client's call that is being made."""
        if (parent := self._scope.current.get()) is not None:
            self._fields.setdefault("parent_generation_id", parent.id)
            # For whom a call is made, its steps are too.
            for name in ("user", "session"):
                if parent._fields.get(name) is not None:
                    self._fields.setdefault(name, parent._fields[name])
        self._began_s = time.monotonic()

    def end(self, error: BaseException | None) -> None:
        """Emit the generation, with the exception that ended the call."""
        self._fields.setdefault("latency_ms", self._elapsed_ms())
        if self._chunks:
            self._fields.setdefault("output", "".join(self._chunks))
        if isinstance(error, CANCELLED):
            self._fields.setdefault("outcome", "cancelled")
        elif error is not None:
            self._fields = {"error_type": type(error).__name__, "error_message": message_of(error), **self._fields}
        self._generation = self._scope.generate(self._fields)
        self._scope.latest.set(self._generation)

    def _allocated(self) -> str:
        given = self._fields.get("generation_id")
        if given is None or isinstance(given, str):
            return given or uuid7()
        # Its children name it as their parent, so it has an id in any case.
        kind = type(given).__name__
        self._scope.refuse(ContractError("invalid", f"a UUID as a text is wanted, not a {kind}", "generation_id"))
        return uuid7()

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._began_s) * 1000)


def traced(scope: CallScope, function: Any, read: Reader, fields: Any) -> Any:
    """The function with each of its calls as a generation: its arguments the input, what it returns the output.

    Coroutine functions, generators and asynchronous generators stay what they are; of a generator, the texts that it
    yields are the output. What is no function stays as it is, and is counted as refused.
    """
    try:
        if not callable(function):
            raise TypeError(f"traced decorates a function, not a {type(function).__name__}")
        return functools.wraps(function)(_traced(scope, function, read, fields))
    except Exception as error:  # noqa: BLE001  a callable of the app's may be anything
        scope.refuse(error)
        return function


def _traced(scope: CallScope, function: Any, read: Reader, fields: Any) -> Any:
    step = getattr(function, "__name__", type(function).__name__)
    arguments = _signature(function)

    def begin(args: Any, kwargs: Any) -> Call:
        given = {}
        if arguments is not None:
            # Wrong arguments are for the function itself to refuse.
            with contextlib.suppress(TypeError):
                given = arguments.bind(*args, **kwargs).arguments
        made: Any = {"step": step, "input": _input(given, scope), **fields}
        return Call(scope, made)

    if inspect.isasyncgenfunction(function):
        return _traced_async_generator(function, begin, scope)
    if inspect.isgeneratorfunction(function):
        return _traced_generator(function, begin, scope)
    if inspect.iscoroutinefunction(function):
        return _traced_coroutine(function, begin, read)
    return _traced_function(function, begin, read)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        # Some builtins do not say what they take.
        return None


def _input(arguments: dict[str, Any], scope: CallScope) -> Any:
    shown = {name: value for name, value in arguments.items() if name not in ("self", "cls")}
    try:
        if isinstance(given := shown.get("messages"), list):
            return messages(given, "user", "input")
        only = next(iter(shown.values())) if len(shown) == 1 else None
        return only if isinstance(only, str) else {"role": "user", "content": plain(shown)}
    except Exception as error:  # noqa: BLE001  of the app's own objects
        scope.remark("call's arguments", error)
        return None


Begin = Callable[[Any, Any], Call]


def _traced_function(function: Callable[..., Any], begin: Begin, read: Reader) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as made:
            result = function(*args, **kwargs)
            made.read(result, read)
            return result

    return call


def _traced_coroutine(function: Callable[..., Any], begin: Begin, read: Reader) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as made:
            result = await function(*args, **kwargs)
            made.read(result, read)
            return result

    return call


def _traced_generator(
    function: Callable[..., Generator[Any, Any, Any]], begin: Begin, scope: CallScope
) -> Callable[..., Generator[Any, Any, Any]]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        made = begin(args, kwargs)
        made.begin()
        with _Ending(made):
            return (yield from Alternation(scope.current, made).pieces(function(*args, **kwargs), _keeper(made)))

    return call


def _traced_async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], begin: Begin, scope: CallScope
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        made = begin(args, kwargs)
        made.begin()
        with _Ending(made):
            turns, keep = Alternation(scope.current, made), _keeper(made)
            pieces = function(*args, **kwargs)
            step = pieces.asend(None)
            while True:
                try:
                    piece = await turns.step(step)
                except StopAsyncIteration:
                    return
                try:
                    given = yield keep(piece)
                except GeneratorExit:
                    await turns.step(pieces.aclose())
                    raise
                except BaseException as error:  # noqa: BLE001  what the consumer throws is for the body
                    step = pieces.athrow(error)
                else:
                    step = pieces.asend(given)

    return call


def _keeper(made: Call) -> Callable[[Any], Any]:
    return lambda piece: made.chunk(piece) if isinstance(piece, str) else piece


class _Ending:
    """Ends a call with whatever ends the block."""

    def __init__(self, made: Call) -> None:
        self._made = made

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._made.end(error)
