"""Which generation a fact belongs to, when it was named by OpenTelemetry and not by Keeprate.

A span's generation has the UUIDv5 of (app, trace id / span id), so that feedback which carries the same two ids joins
it, whichever arrives first and whoever sends it. Feedback that carries less is resolved from memory: by the response id
or the trace of the spans that this process saw lately.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from keeprate.schemas.ids import foreign_id

_TRACE_ID_DIGITS: Final = 32
_SPAN_ID_DIGITS: Final = 16
TOOL: Final = "execute_tool"


def span_generation_id(app: str, trace_id: str, span_id: str) -> str:
    """The identity of the generation that a span recorded. Both ids in lower-case hexadecimal, as W3C writes them."""
    return foreign_id(app, f"{trace_id}/{span_id}")


def has_ids(trace_id: str, span_id: str) -> bool:
    """Whether both ids are of W3C's form and not the invalid ids, which are all zeros."""
    return (
        len(trace_id) == _TRACE_ID_DIGITS
        and len(span_id) == _SPAN_ID_DIGITS
        and bool(trace_id.strip("0"))
        and bool(span_id.strip("0"))
    )


def named_event_id(app: str, *parts: str) -> str:
    """The identity of a fact that a foreign system named: sent again, it is a duplicate and no second fact."""
    return foreign_id(app, "\x1e".join(("event", *parts)))


class Aliases:
    """What the spans of late were called otherwise: response id, and trace. Holds the last `capacity` names, no more.

    A trace stands for its outermost generation seen so far, which is the one whose output a user was shown.
    """

    def __init__(self, capacity: int = 200_000) -> None:
        self._capacity = capacity
        self._names: OrderedDict[tuple[str, str, str], tuple[int, str]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, app: str, kind: str, name: str, generation_id: str, depth: int = 0) -> None:
        """Keep a name. For the same name, the smaller depth holds; at the same depth, the later."""
        key = (app, kind, name)
        with self._lock:
            known = self._names.get(key)
            if known is None or depth <= known[0]:
                self._names[key] = (depth, generation_id)
            self._names.move_to_end(key)
            while len(self._names) > self._capacity:
                self._names.popitem(last=False)

    def remember_generation(self, event: Mapping[str, Any]) -> None:
        """Keep the names of a generation event: the trace it was a part of, and the provider's id of its response."""
        app, generation_id, trace_id = event.get("app"), event.get("generation_id"), event.get("trace_id")
        if not (isinstance(app, str) and isinstance(generation_id, str)):
            return
        if isinstance(trace_id, str):
            depth = (1 if event.get("parent_generation_id") else 0) + (2 if event.get("operation") == TOOL else 0)
            self.remember(app, "trace", trace_id, generation_id, depth)
        if isinstance(external_id := event.get("external_id"), str):
            self.remember(app, "response", external_id, generation_id)

    def find(self, app: str, kind: str, name: str) -> str | None:
        """The generation of that name, None when no span of late had it."""
        known = self._names.get((app, kind, name))
        return known[1] if known else None

    def __len__(self) -> int:
        return len(self._names)


def resolve(app: str, event: Mapping[str, Any], aliases: Aliases, response_id: str = "") -> str | None:
    """The generation that a fact without a generation_id speaks of, None when it names nothing.

    The order: the response id of a span seen lately; trace and span id; the trace of a span seen lately; the UUIDv5 of
    the response id or of the trace id alone, which joins only facts that were named the same way.
    """
    trace_id, span_id = event.get("trace_id"), event.get("span_id")
    if response_id and (known := aliases.find(app, "response", response_id)):
        return known
    if trace_id and span_id:
        return span_generation_id(app, str(trace_id), str(span_id))
    if trace_id and (known := aliases.find(app, "trace", str(trace_id))):
        return known
    name = response_id or trace_id
    return foreign_id(app, str(name)) if name else None
