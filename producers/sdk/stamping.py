"""Stamping: from what an app gave to the bytes of a record, in the shape that the gate lets through.

What the event leaves out is filled in, values of free form become JSON, the gate judges it by the client's clock, and
the content policy takes out what must not leave.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keeprate.producers.sdk.content import ContentPolicy
from keeprate.producers.sdk.plain import plain
from keeprate.producers.sdk.tracking import Clock
from keeprate.schemas.decode import ContractError, encode_record, validate
from keeprate.schemas.ids import uuid7

_SEQUENCE_BYTES: Final = 40
"""Room for the producer_seq, which is added last."""
_GENERATIONS, _FEEDBACK = 0, 1
_FREE_FORM: Final = ("input", "output", "parameters", "prompt_variables")
"""Fields in which the contract takes any JSON, so that an app's own objects may be in them."""


@dataclass(frozen=True)
class Stamp:
    """What a client's events have in common. envelope: the fields that an event may leave out."""

    envelope: Mapping[str, Any]
    content: ContentPolicy
    clock: Clock

    def encode(self, event: Mapping[str, Any], producer_id: str) -> tuple[int, bytes, bytes]:
        """Topic, key and value, without a producer_seq. Raises ContractError, RedactionError, and what the app does."""
        if type(event) is not dict and not isinstance(event, Mapping):
            raise ContractError("invalid", f"an event is a dictionary, not {type(event).__name__}")
        if None in event.values():
            event = {name: value for name, value in event.items() if value is not None}
        now_ms = self.clock.wall_ms()
        full = {**self.envelope, "event_id": uuid7(), "occurred_at": now_ms, **event, "producer_id": producer_id}
        full.pop("producer_seq", None)
        if type(full.get("type")) is not str:
            # The contract's union is looked up by it, and of an app's own object that asks for its hash.
            full.pop("type", None)
        for name in _FREE_FORM:
            if name in full:
                full[name] = plain(full[name])
        checked: Mapping[str, Any] = validate(full, now_ms)
        if not self.content.sends_all:
            checked = self.content.apply(checked)
        topic = _GENERATIONS if checked["type"] == "generation" else _FEEDBACK
        return topic, checked["generation_id"].encode(), encode_record(checked, _SEQUENCE_BYTES)
