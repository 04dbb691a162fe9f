"""Whatever an app gives to the SDK, nothing of the SDK raises into the app, and what could not be taken is counted."""

import asyncio
import itertools
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.producers import GenerationFields
from keeprate.producers.sdk.generation import Generation
from keeprate.producers.testing import RecordingKeeprate
from keeprate.schemas.events import Action, Edit, Evaluation, Flag, RetentionCheck, Vote
from tests.examples import examples

ID = "0198c0de-0000-7000-8000-000000000001"
EVENT_FIELDS = sorted(
    {name for kind in (Action, Edit, Evaluation, Flag, RetentionCheck, Vote) for name in kind.__annotations__}
)


Entry = Callable[[RecordingKeeprate, Any], Any]


class Refuses(Exception):
    """Cannot even be told."""

    def __str__(self) -> str:
        raise Refuses

    __repr__ = __str__


def _refuse(*_: object, **__: object) -> Any:
    raise Refuses


_METHODS = (
    *("__str__", "__repr__", "__format__", "__iter__", "__next__", "__getitem__", "__len__", "__bool__", "__hash__"),
    *("__eq__", "__lt__", "__ge__", "__contains__", "__getattr__", "__call__", "__int__", "__float__", "__index__"),
    *("__fspath__", "__bytes__", "__reduce_ex__", "__deepcopy__", "__await__", "__enter__"),
)
HostileObject = type("HostileObject", (), dict.fromkeys(_METHODS, _refuse))
HostileText = type(
    "HostileText",
    (str,),
    dict.fromkeys(("__str__", "__format__", "__eq__", "encode", "replace"), _refuse) | {"__hash__": str.__hash__},
)
HostileDict = type(
    "HostileDict",
    (dict,),
    dict.fromkeys(("items", "keys", "values", "__iter__", "__getitem__", "get", "copy"), _refuse),
)
HostileList = type("HostileList", (list,), dict.fromkeys(("__iter__", "__getitem__", "__len__"), _refuse))


class Growing(dict[str, Any]):
    """Another thread adds to it while it is read."""

    def items(self) -> Any:
        for name, value in dict.items(self):
            self[f"{name}+"] = value
            yield name, value


def _recursive_list() -> list[Any]:
    within: list[Any] = []
    within.append(within)
    return within


def _recursive_dict() -> dict[str, Any]:
    within: dict[str, Any] = {}
    within["a"] = within
    return within


def _deep() -> Any:
    value: Any = "x"
    for _ in range(5_000):
        value = [value]
    return value


HOSTILE: dict[str, Callable[[], Any]] = {
    "object": HostileObject,
    "class": lambda: HostileObject,
    "text": lambda: HostileText("x"),
    "dict": lambda: HostileDict(a=1),
    "list": lambda: HostileList("ab"),
    "exception": Refuses,
    "surrogate": lambda: "\ud800",
    "surrogate within": lambda: [{"role": "user", "content": {"\udfff": ["\ud800"]}}],
    "nul": lambda: "\0",
    "empty": str,
    "huge": lambda: 10**400,
    "64 bits": lambda: 2**64,
    "negative": lambda: -1,
    "nan": lambda: float("nan"),
    "infinite": lambda: float("inf"),
    "decimal": lambda: Decimal("NaN"),
    "time": lambda: datetime.now(UTC),
    "complex": lambda: 1j,
    "bytes": lambda: b"\xff",
    "recursive list": _recursive_list,
    "recursive dict": _recursive_dict,
    "deep": _deep,
    "growing": lambda: Growing(a=1),
    "endless": itertools.count,
    "keys": lambda: {1: 2, None: 3, (4,): 5, b"6": 7},
    "set": lambda: {"a", "b"},
    "mock": MagicMock,
    "true": lambda: True,
    "nothing": lambda: None,
    "object within": lambda: [{"role": "user", "content": HostileObject()}],
    "key": lambda: {HostileText("x"): 1},
}


async def _consume(pieces: AsyncIterator[Any]) -> None:
    async for _ in pieces:
        pass


def _block(client: RecordingKeeprate, within: Callable[[Any], Any] = lambda call: None, **fields: Any) -> None:
    with client.call(**fields) as call:
        within(call)
        assert isinstance(call.id, str)
    call.generation.shown()


def _traced(client: RecordingKeeprate, value: Any) -> None:
    @client.traced
    def plainly(argument: Any) -> Any:
        return argument

    @client.traced(read=lambda response: value)
    def read(messages: Any) -> Any:
        return messages

    @client.traced
    def pieces(argument: Any) -> Iterator[Any]:
        yield argument

    @client.traced
    async def coroutine(argument: Any) -> Any:
        return argument

    @client.traced
    async def stream(argument: Any) -> AsyncIterator[Any]:
        yield argument

    assert plainly(value) is value
    assert read([value])[0] is value
    assert next(pieces(value)) is value
    assert asyncio.run(coroutine(value)) is value
    asyncio.run(_consume(stream(value)))
    client.traced(value)
    client.latest.shown()


def _raised(client: RecordingKeeprate, value: Any) -> None:
    with pytest.raises(Refuses), client.call():
        raise Refuses(value)


def _verb(name: str, parameter: str, first: tuple[Any, ...] = ()) -> Entry:
    def call(client: RecordingKeeprate, value: Any) -> None:
        handle = client.generation(output="return a + b").accept()
        assert getattr(handle, name)(*first, **{parameter: value}) is handle

    return call


def _generated(name: str) -> Entry:
    return lambda client, value: client.generation(**cast(Any, {name: value})).shown()


def _called(name: str) -> Entry:
    return lambda client, value: _block(client, **{name: value})


def _emitted(name: str) -> Entry:
    return lambda client, value: client.emit({"type": "vote", "value": 1, "generation_id": ID, name: value})


def _positional(name: str) -> Entry:
    return lambda client, value: getattr(client.generation(output="return a + b"), name)(value)


def _tracked(client: RecordingKeeprate, read: Any, **settings: Any) -> None:
    client.generation(output="return a + b").accept().track(read, **settings)
    client.advance(1_000)


CALLS: dict[str, Entry] = {
    **{f"generation {name}": _generated(name) for name in (*GenerationFields.__annotations__, "no_such_field")},
    **{f"call {name}": _called(name) for name in GenerationFields.__annotations__},
    "call set": lambda client, value: _block(client, lambda call: call.set(model=value, prompt_variables={"a": value})),
    "call output": lambda client, value: _block(client, lambda call: call.output(value)),
    "call read": lambda client, value: _block(client, lambda call: call.read(value)),
    "call reader": lambda client, value: _block(client, lambda call: call.read("x", value)),
    "call chunk": lambda client, value: _block(client, lambda call: call.chunk(value)),
    "call within": lambda client, value: _block(client, lambda call: call.generation.vote(value)),
    "raised": _raised,
    "traced": _traced,
    "feedback": lambda client, value: client.feedback(value).vote(1).id,
    "feedback user": lambda client, value: client.feedback(ID, user=value).vote(1),
    "feedback choice": lambda client, value: client.feedback(ID, choice_index=value).accept().edit("x"),
    "feedback origin": lambda client, value: client.feedback(ID, session=value).accept("x").track(lambda: "x"),
    "choice": lambda client, value: client.generation(output=["a", "b"]).choice(value).shown().accept().text,
    "user_hash": lambda client, value: client.user_hash(value),
    "emit": lambda client, value: client.emit(value),
    **{f"emit {name}": _emitted(name) for name in EVENT_FIELDS},
    "emit block": lambda client, value: client.emit({"type": "vote", "value": 1, "generation_id": ID}, block=value),
    "emit timeout": lambda client, value: client.emit(
        {"type": "vote", "value": 1, "generation_id": ID}, block=True, timeout_s=value
    ),
    "flush": lambda client, value: client.flush(value),
    "close": lambda client, value: client.close(value),
    **{f"positional {name}": _positional(name) for name in ("shown", "accept", "accept_partial", "action", "vote")},
    **{f"positional {name}": _positional(name) for name in ("flag", "unflag", "edit", "evaluation", "copy", "track")},
    **{
        f"{name} more": _verb(name, "comment")
        for name in ("insert", "copy", "apply", "reject", "dismiss", "ignore", "undo", "shown", "accept")
    },
    "shown dwell_ms": _verb("shown", "dwell_ms"),
    "accept mode": _verb("accept", "mode"),
    "vote comment": _verb("vote", "comment", (1,)),
    "flag severity": _verb("flag", "severity", ("late",)),
    "score low": _verb("score", "low", (3,)),
    "edit original": _verb("edit", "original", ("x",)),
    "edit origin": _verb("edit", "origin", ("x",)),
    "evaluation value": _verb("evaluation", "value", ("judge",)),
    **{
        f"retention_check {name}": _verb("retention_check", name)
        for name in ("horizon_s", "current_text", "elapsed_ms", "original", "reason", "accept_seq", "moment")
    },
    "track horizons": lambda client, value: _tracked(client, lambda: "x", horizons_s=value),
    "track a horizon": lambda client, value: _tracked(client, lambda: "x", horizons_s=[value]),
    "track ref": lambda client, value: _tracked(client, lambda: "x", ref=value),
    "track read": lambda client, value: _tracked(client, lambda: value),
}


def _make(client: RecordingKeeprate, call: str, hostile: str) -> None:
    """One call. What it raises is told by its place: pytest cannot report an exception without a text."""
    raised = ""
    try:
        CALLS[call](client, HOSTILE[hostile]())
    except Exception as error:  # noqa: BLE001  any is a failure
        raised = type(error).__name__ + "".join(traceback.format_tb(error.__traceback__))
    assert not raised, f"{call} of {hostile}: {raised}"


def _balanced(client: RecordingKeeprate) -> bool:
    stats = client.stats()
    return stats.accepted == stats.delivered + stats.lost == len(client.events) + stats.lost


@pytest.mark.parametrize("call", CALLS)
def test_no_call_raises_whatever_it_is_given(call: str) -> None:
    """Each entry of the SDK with each value: no exception, the accounts add up, and the client still works."""
    for hostile in HOSTILE:
        client = RecordingKeeprate(strict=False)
        _make(client, call, hostile)
        assert _balanced(client)
        if call != "close":
            before = len(client.events)
            assert client.generation(output="still here").vote(1).id
            assert len(client.events) == before + 2


@given(st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.sampled_from(sorted(HOSTILE))), max_size=20))
@settings(max_examples=examples(50))
def test_no_series_of_calls_raises(series: list[tuple[str, str]]) -> None:
    """One client takes them all, one after the other."""
    client = RecordingKeeprate(strict=False)
    for call, hostile in series:
        _make(client, call, hostile)
        assert _balanced(client)


@pytest.mark.parametrize("hostile", [name for name in HOSTILE if name not in ("nul", "empty", "text")])
def test_a_hook_that_gives_no_text_withholds_the_event(hostile: str) -> None:
    """The redaction hook's answer is a text, or the event stays here and is counted."""
    client = RecordingKeeprate(strict=False, redact=lambda text: HOSTILE[hostile]())
    client.generation(output="secret")
    assert client.events == []
    assert client.stats().lost == 1


def test_nothing_of_the_apps_is_consumed() -> None:
    """A generator that was given by mistake still gives the app all it has."""
    client = RecordingKeeprate(strict=False)
    pieces = iter(["a", "b"])
    client.generation(output=pieces, prompt_variables={"stream": pieces}, input=pieces)  # type: ignore[arg-type]
    client.emit({"type": "generation", "generation_id": ID, "parameters": {"stream": pieces}, "model": pieces})
    assert list(pieces) == ["a", "b"]


def test_a_value_of_two_to_the_64th_parts_is_refused_in_time() -> None:
    """Two names for one list, many levels deep, are more values than an event can hold."""
    client = RecordingKeeprate(strict=False)
    value: Any = []
    for _ in range(60):
        value = [value, value]
    client.generation(prompt_variables={"tree": value})
    assert client.stats().dropped == {"too_large": 1}


def test_refusals_are_told_apart_up_to_a_limit() -> None:
    """The names of an app's own fields are without end, and neither memory nor the log may be."""
    client = RecordingKeeprate(strict=False)
    for number in range(1_000):
        fields: Any = {f"field_{number}": 1}
        client.generation(**fields)
    refusals = client.stats().refusals
    assert sum(refusals.values()) == 1_000
    assert len(refusals) == 101
    assert refusals["other"] == 900


def test_a_handle_can_be_kept_in_a_set_and_in_a_log() -> None:
    """It is compared by identity, and its text names no content and no user."""
    client = RecordingKeeprate()
    handle = client.generation(output="secret", user="alice")
    assert {handle, handle} == {handle}
    assert isinstance(handle, Generation)
    assert repr(handle) == f"Generation({handle.id!r})"
