"""Watching one call of a provider's client, plain, asynchronous or streamed, from its arguments to its end.

A `Shape` says what a provider's arguments, responses and streamed pieces mean. All of it runs beside the app's call:
what it cannot read is remarked once, and never raised.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

from keeprate.producers.sdk.calls import Call
from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.sdk.plain import plain

Fields = dict[str, Any]
Cost = Callable[[Any], float | None]
"""From a response, or the last piece of a stream that has the usage, to US dollars; None where it is not known."""

_UNSET: Final = ("NotGiven", "Omit", "_Omit")
"""The classes by which OpenAI's and Anthropic's libraries say that an argument was left out."""
_CONTENT: Final = ("messages", "input", "instructions", "system", "prompt", "tools", "functions")
_OF_THE_CALL: Final = (
    "model",
    "stream",
    "stream_options",
    "timeout",
    "metadata",
    "user",
    "api_key",
    "base_url",
    "api_base",
)
_EXTRA: Final = ("extra_headers", "extra_query", "extra_body", "callbacks")
_NO_PARAMETERS: Final = frozenset((*_CONTENT, *_OF_THE_CALL, *_EXTRA))


class Reading(Protocol):
    """What is read of one stream."""

    def add(self, piece: Any) -> str:
        """Take a piece; the text in it, of the first choice."""

    def fields(self) -> Fields:
        """Of the generation, as far as pieces have come."""


@dataclass(frozen=True)
class Shape:
    """A provider's way of saying things.

    given: fields of the generation from the arguments of a call. read: from a response. stream: begins to read one.
    """

    provider: str
    given: Callable[[Mapping[str, Any]], Fields]
    read: Callable[[Any], Fields]
    stream: Callable[[], Reading]


def watched(client: Keeprate, function: Callable[..., Any], shape: Shape, cost: Cost | None = None) -> Any:
    """The function, with each of its calls as a generation."""
    if inspect.iscoroutinefunction(inspect.unwrap(function)):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            watch = WatchedCall(client, shape, kwargs, cost)
            with watch:
                return watch.take(await function(*args, **kwargs), is_awaited=True)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        watch = WatchedCall(client, shape, kwargs, cost)
        with watch:
            return watch.take(function(*args, **kwargs), is_awaited=False)

    return call


class WatchedCall:
    """One call. As a context manager around the provider's call; a stream goes on after it, and ends it itself."""

    def __init__(self, client: Keeprate, shape: Shape, kwargs: Mapping[str, Any], cost: Cost | None) -> None:
        self._client = client
        self._shape = shape
        self._cost = cost
        # Now, because the app may change its list of messages while a stream runs.
        self._given = self._safely("call's arguments", lambda: {"provider": shape.provider, **shape.given(kwargs)})
        self.call: Call = client.call()
        self._is_streamed = False

    def __enter__(self) -> Self:
        self.call.begin()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is not None or not self._is_streamed:
            self.end(error)

    def take(self, result: Any, *, is_awaited: bool) -> Any:
        """What the app gets for the provider's result: itself, or a stream that is watched."""
        is_plain, is_async = hasattr(result, "__next__"), hasattr(result, "__anext__")
        self._is_streamed = is_plain or is_async
        # LiteLLM's streams are both, and are read as they were asked for.
        if is_async and (is_awaited or not is_plain):
            return WatchedAsyncStream(result, self)
        if is_plain:
            return WatchedStream(result, self)
        self.read(result)
        return result

    def read(self, response: Any) -> None:
        """Take a whole response."""
        self.call.read(response, self._shape.read)
        self.price(response)

    def reading(self) -> Reading:
        """A reading of the stream that the call is."""
        return self._shape.stream()

    def add(self, reading: Reading, piece: Any) -> None:
        """Take a piece of a stream."""
        if text := self._safely("piece of a stream", lambda: {"text": reading.add(piece)}).get("text"):
            self.call.chunk(text)
        if getattr(piece, "usage", None) is not None:
            self.price(piece)

    def end_stream(self, reading: Reading, error: BaseException | None) -> None:
        """The stream is over, or the app has had enough of it."""
        self.call.read(reading, lambda each: each.fields())
        self.end(error)

    def price(self, response: Any) -> None:
        """Have the app say what it cost, if it can."""
        if (cost := self._cost) is not None:
            found = self._safely("cost", lambda: {"cost_usd": cost(response)})
            self.call.set(**found)

    def end(self, error: BaseException | None) -> None:
        """Emit the generation. What the response says holds before what the call asked for."""
        self.call.read(self._given, lambda given: given)
        self.call.end(error)

    def _safely(self, what: str, ask: Callable[[], Fields]) -> Fields:
        try:
            return {name: value for name, value in ask().items() if value is not None}
        except Exception as error:  # noqa: BLE001  of the provider's objects, or the app's own function
            self._client._remark(what, error)
            return {}


class _Streamed:
    """A stream that the app reads as it would the provider's own; whatever else it asks of it, that one answers."""

    def __init__(self, stream: Any, watch: WatchedCall) -> None:
        self._stream = stream
        self._watch = watch
        self._reading = watch.reading()
        self._is_over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _end(self, error: BaseException | None = None) -> None:
        if not self._is_over:
            self._is_over = True
            self._watch.end_stream(self._reading, error)

    def _cancel(self) -> None:
        # Closed before its end: what came so far is all that the user saw.
        self._end(GeneratorExit())


class WatchedStream(_Streamed):
    """Of a plain client."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            piece = next(self._stream)
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._watch.add(self._reading, piece)
        return piece

    def __enter__(self) -> Self:
        if hasattr(self._stream, "__enter__"):
            self._stream.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> Any:
        self._end(error) if error is not None else self._cancel()
        return self._stream.__exit__(kind, error, at) if hasattr(self._stream, "__exit__") else None

    def close(self) -> None:
        """The app has had enough."""
        self._cancel()
        self._stream.close()

    def __del__(self) -> None:
        self._cancel()


class WatchedAsyncStream(_Streamed):
    """Of an asynchronous client."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            piece = await self._stream.__anext__()
        except StopAsyncIteration:
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._watch.add(self._reading, piece)
        return piece

    async def __aenter__(self) -> Self:
        if hasattr(self._stream, "__aenter__"):
            await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> Any:
        self._end(error) if error is not None else self._cancel()
        return await self._stream.__aexit__(kind, error, at) if hasattr(self._stream, "__aexit__") else None

    async def close(self) -> None:
        """The app has had enough."""
        self._cancel()
        await self._stream.close()

    def __del__(self) -> None:
        self._cancel()


def get(value: Any, name: str) -> Any:
    """A field of an object or of a dictionary; None where there is none."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def parameters_of(kwargs: Mapping[str, Any]) -> Fields | None:
    """The arguments that steer a model: all but its content, its tools and how the call is made."""
    kept = {name: plain(value) for name, value in kwargs.items() if name not in _NO_PARAMETERS and is_given(value)}
    return kept or None


def is_given(value: Any) -> bool:
    """Whether an argument says anything."""
    return value is not None and type(value).__name__ not in _UNSET


def argument(kwargs: Mapping[str, Any], name: str) -> Any:
    """An argument as JSON; None where it was left out."""
    value = kwargs.get(name)
    return plain(value) if is_given(value) else None


def names_of(tools: Any) -> list[str] | None:
    """The names of tools that are offered or called, in OpenAI's and Anthropic's shapes."""
    found = [get(get(tool, "function") or tool, "name") or get(tool, "type") for tool in tools or ()]
    return [name for name in found if isinstance(name, str)] or None
