"""Watching what arrives: each record of an event, with what became of it as soon as that is known. Pure, but for Kafka.

Reads    keeprate.generations, keeprate.feedback, keeprate.outcomes, keeprate.dead-letters; it commits nothing
Fates    joined   the worker has its suggestion with its generation
         orphan   the worker has its suggestion, and no generation of it yet
         refused  the worker or the sink refused it, or set it aside; `why` says what for
         waiting  nobody has said anything of it in time
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from keeprate.schemas.dead_letters import app_of, decode_headers
from keeprate.schemas.decode import ContractError
from keeprate.schemas.outcome import decode_outcome, parse_key
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK, GENERATIONS, OUTCOMES
from keeprate.sinks.kafka.records import Record

Fate = Literal["joined", "orphan", "refused", "waiting"]
TOPICS: Final = (GENERATIONS.name, FEEDBACK.name, OUTCOMES.name, DEAD_LETTERS.name)
_REMEMBERED: Final = 10_000

Place = tuple[str, int, int]
Suggestion = tuple[str, str]


@dataclass
class Arrival:
    """One record that arrived. event: as it was sent; what is no JSON object is shown as far as it can be read."""

    place: Place
    recorded_ms: int
    event: Mapping[str, Any]
    until_s: float
    fate: Fate = "waiting"
    why: str = ""

    @property
    def suggestion(self) -> Suggestion:
        """Whose outcome it belongs to."""
        return str(self.event.get("app")), str(self.event.get("generation_id")).lower()

    @property
    def what(self) -> str:
        """What it says, in a word or three."""
        event, kind = self.event, str(self.event.get("type", "no event"))
        said = {
            "action": event.get("action"),
            "vote": f"vote {event.get('value', event.get('score'))}",
            "flag": f"flag {event.get('label')}" + (" taken back" if event.get("status") == "unset" else ""),
            "retention_check": f"check {event.get('horizon_s') or event.get('moment')} {event.get('status')}",
            "evaluation": f"evaluation {event.get('name')}",
            "generation": " ".join(filter(None, ("generation", str(event.get("model") or "")))),
        }
        return str(said.get(kind) or kind)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        topic, partition, offset = self.place
        where = {"topic": topic, "partition": partition, "offset": offset, "recorded_at": self.recorded_ms}
        return {**where, "fate": self.fate, "why": self.why, "event": dict(self.event)}


@dataclass
class Tail:
    """Gives arrivals in their order, each once its fate is known or `patience_s` is over. Time is a parameter."""

    wanted: Callable[[Mapping[str, Any]], bool]
    patience_s: float = 3.0
    _waiting: "OrderedDict[Place, Arrival]" = field(default_factory=OrderedDict)
    _states: "OrderedDict[Suggestion, bool]" = field(default_factory=OrderedDict)
    _refused: "OrderedDict[Place, str]" = field(default_factory=OrderedDict)

    def take(self, record: Record, now_s: float) -> None:
        """Take a record of any of the topics."""
        topic = record.topic()
        if topic == OUTCOMES.name:
            self._hear_outcome(record.value())
        elif topic == DEAD_LETTERS.name:
            self._hear_refusal(record)
        else:
            self._arrive(record, now_s)

    def ready(self, now_s: float) -> Iterator[Arrival]:
        """The next arrivals whose fate is known, or has been waited for."""
        while self._waiting:
            arrival = next(iter(self._waiting.values()))
            if arrival.fate == "waiting" and now_s < arrival.until_s:
                return
            if arrival.fate == "waiting" and arrival.suggestion in self._states:
                arrival.fate = "orphan"
            del self._waiting[arrival.place]
            yield arrival

    def _arrive(self, record: Record, now_s: float) -> None:
        value = record.value()
        event = _object(value)
        if not self.wanted(event):
            return
        place = record.topic(), record.partition(), record.offset()
        arrival = Arrival(place, record.timestamp()[1], event, now_s + self.patience_s)
        if place in self._refused:
            arrival.fate, arrival.why = "refused", self._refused[place]
        elif self._states.get(arrival.suggestion):
            arrival.fate = "joined"
        self._waiting[place] = arrival

    def _hear_outcome(self, value: bytes | None) -> None:
        try:
            key, outcome = decode_outcome(value or b"")
            app, generation_id, _ = parse_key(key)
        except (ValueError, KeyError, TypeError):
            # What is no outcome is the worker's to skip and count.
            return
        suggestion, is_joined = (app, generation_id), "generation" in outcome
        _remember(self._states, suggestion, is_joined)
        for arrival in self._waiting.values():
            if arrival.suggestion == suggestion and arrival.fate == "waiting":
                arrival.fate = "joined" if is_joined else "orphan"

    def _hear_refusal(self, record: Record) -> None:
        try:
            letter = decode_headers(record.headers())
        except ContractError:
            return
        place, why = (letter.topic, letter.partition, letter.offset), f"{letter.error_type}, {letter.text}"
        _remember(self._refused, place, f"by the {letter.stage}: {why}")
        if (arrival := self._waiting.get(place)) is not None:
            arrival.fate, arrival.why = "refused", self._refused[place]


def _remember(known: "OrderedDict[Any, Any]", key: Any, value: Any) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)


def _object(value: bytes | None) -> Mapping[str, Any]:
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"type": "no event", "app": app_of(value)}
