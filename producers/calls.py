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
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar, Token, copy_context
from types import TracebackType
from typing import Any, Final, Self

from keeprate.producers.fields import GenerationFields, messages
from keeprate.producers.generation import Generation
from keeprate.producers.responses import plain, read_response

log = logging.getLogger("keeprate.producers")

CANCELLED: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt)

_current: ContextVar["Call | None"] = ContextVar("keeprate_call", default=None)

_latest: ContextVar[Generation | None] = ContextVar("keeprate_latest", default=None)

Reader = Callable[[Any], dict[str, Any]]


def current_call() -> "Call | None":
    """The call that is being made in this context."""
    return _current.get()


def latest_generation() -> Generation | None:
    """What the last call that ended in this context generated."""
    return _latest.get()


class Call:
    """One call while it is being made; its generation is emitted when the block is left.

    id: its generation_id, known before the call, so that a page can send feedback on what it is still receiving.
    """

    def __init__(self, emit: Callable[..., Generation], new_id: Callable[[], str], fields: GenerationFields) -> None:
        self._emit = emit
        self._fields: dict[str, Any] = {"generation_id": new_id(), **fields}
        self._chunks: list[str] = []
        self._began_s = 0.0
        self._token: Token[Call | None] | None = None
        self._generation: Generation | None = None

    @property
    def id(self) -> str:
        """The generation_id."""
        return str(self._fields["generation_id"])

    @property
    def generation(self) -> Generation:
        """The handle of what was generated. Raises RuntimeError inside the block."""
        if self._generation is None:
            raise RuntimeError("the call is not over: use call.generation after the with block, or call.id inside it")
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
        except Exception:
            log.exception("the response of %s could not be read", self.id)
        return self

    def chunk(self, text: str) -> str:
        """A piece of a streamed output, handed back. The first one sets the time to the first token."""
        if not self._chunks:
            self._fields.setdefault("time_to_first_token_ms", self._elapsed_ms())
        self._chunks.append(text)
        return text

    def __enter__(self) -> Self:
        self.begin()
        self._token = _current.set(self)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if self._token is not None:
            # A coroutine may be closed in another context than it began in; there is then nothing to restore.
            with contextlib.suppress(ValueError):
                _current.reset(self._token)
        self.end(error)

    def begin(self) -> None:
        """Start the clock, as a child of the call that is being made."""
        if (parent := _current.get()) is not None:
            self._fields.setdefault("parent_generation_id", parent.id)
        self._began_s = time.monotonic()

    def end(self, error: BaseException | None) -> None:
        """Emit the generation, with the exception that ended the call."""
        self._fields.setdefault("latency_ms", self._elapsed_ms())
        if self._chunks:
            self._fields.setdefault("output", "".join(self._chunks))
        if isinstance(error, CANCELLED):
            self._fields.setdefault("outcome", "cancelled")
        elif error is not None:
            self._fields = {"error_type": type(error).__name__, "error_message": str(error), **self._fields}
        self._generation = self._emit(**self._fields)
        _latest.set(self._generation)

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._began_s) * 1000)


def traced(open_call: Callable[..., Call], function: Callable[..., Any], read: Reader, fields: Any) -> Any:
    """The function with each of its calls as a generation: its arguments the input, what it returns the output.

    Coroutine functions, generators and asynchronous generators stay what they are; of a generator, the texts that it
    yields are the output.
    """
    arguments = inspect.signature(function)

    def begin(args: Any, kwargs: Any) -> Call:
        given = {}
        # Wrong arguments are for the function itself to refuse.
        with contextlib.suppress(TypeError):
            given = arguments.bind(*args, **kwargs).arguments
        return open_call(**{"step": function.__name__, "input": _input(given), **fields})

    if inspect.isasyncgenfunction(function):
        return functools.wraps(function)(_traced_async_generator(function, begin))
    if inspect.isgeneratorfunction(function):
        return functools.wraps(function)(_traced_generator(function, begin))
    if inspect.iscoroutinefunction(function):
        return functools.wraps(function)(_traced_coroutine(function, begin, read))
    return functools.wraps(function)(_traced_function(function, begin, read))


def _input(arguments: dict[str, Any]) -> Any:
    shown = {name: value for name, value in arguments.items() if name not in ("self", "cls")}
    try:
        if isinstance(given := shown.get("messages"), list):
            return messages([plain(each) for each in given], "user")
        only = next(iter(shown.values())) if len(shown) == 1 else None
        return only if isinstance(only, str) else {"role": "user", "content": plain(shown)}
    except Exception:
        log.exception("the arguments of a traced call could not be read")
        return None


Begin = Callable[[Any, Any], Call]
_END: Final = object()


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


def _traced_generator(function: Callable[..., Iterator[Any]], begin: Begin) -> Callable[..., Iterator[Any]]:
    def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
        made = begin(args, kwargs)
        made.begin()
        # The consumer runs between the pieces, and its own calls are no children of this one.
        context = copy_context()
        context.run(_current.set, made)
        with _ending(made):
            pieces = function(*args, **kwargs)
            while (piece := context.run(next, pieces, _END)) is not _END:
                yield made.chunk(piece) if isinstance(piece, str) else piece

    return call


def _traced_async_generator(
    function: Callable[..., AsyncIterator[Any]], begin: Begin
) -> Callable[..., AsyncIterator[Any]]:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        made = begin(args, kwargs)
        made.begin()
        with _ending(made):
            async for piece in function(*args, **kwargs):
                yield made.chunk(piece) if isinstance(piece, str) else piece

    return call


@contextlib.contextmanager
def _ending(made: Call) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        made.end(error)
        raise
    made.end(None)
