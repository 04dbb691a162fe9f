"""What becomes of an event that arrives: told in the order of arrival, once it is known or has been waited for."""

import json
from collections.abc import Mapping
from typing import Any

from keeprate.deploy.tailing import Arrival, Tail
from keeprate.schemas.dead_letters import DeadLetter, encode_letter
from keeprate.schemas.decode import encode
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK, GENERATIONS, OUTCOMES
from tests.facts import Facts
from tests.unit.sinks.records import FakeRecord

FACTS = Facts()


def stored(topic: str, value: bytes | None, offset: int = 0, headers: Any = None) -> FakeRecord:
    return FakeRecord(offset, value, None, 1_772_442_000_000, headers, topic)


def watch() -> Tail:
    return Tail(lambda event: True)


def outcome_of(*events: Any) -> FakeRecord:
    ((key, outcome),) = fold(events).items()
    return stored(OUTCOMES.name, encode_outcome(key, outcome))


def fates(watch: Tail, now_s: float) -> list[str]:
    return [arrival.fate for arrival in watch.ready(now_s)]


def test_the_worker_says_that_an_event_is_joined_or_an_orphan() -> None:
    """By the state of its suggestion, which comes after it; one that is joined already is so at once."""
    watching, vote, generation = watch(), FACTS.vote("a", 1), FACTS.generation("a")
    watching.take(stored(FEEDBACK.name, encode(vote)), 0.0)
    assert fates(watching, 1.0) == []
    watching.take(outcome_of(vote), 1.0)
    assert fates(watching, 1.0) == ["orphan"]
    watching.take(stored(GENERATIONS.name, encode(generation)), 2.0)
    watching.take(outcome_of(vote, generation), 2.0)
    watching.take(stored(FEEDBACK.name, encode(FACTS.vote("a", -1)), 1), 2.0)
    assert fates(watching, 2.0) == ["joined", "joined"]


def test_what_is_refused_says_why_whichever_comes_first() -> None:
    """The event or its dead letter; what is no event at all is shown too, and nothing else waits for ever."""
    letter = DeadLetter("join", "invalid", "value", "too high", FEEDBACK.name, 0, 7)
    headers = encode_letter(letter, b"", b"")[2]
    for order in (1, -1):
        watching = watch()
        records = [stored(FEEDBACK.name, b'{"type": "vote", "app": "x"', 7), stored(DEAD_LETTERS.name, b"", 0, headers)]
        for record in records[::order]:
            watching.take(record, 0.0)
        (arrival,) = watching.ready(0.0)
        assert (arrival.fate, arrival.why) == ("refused", "by the join: invalid, value: too high")
        assert (arrival.what, arrival.event["app"]) == ("no event", "x")


def test_what_nobody_speaks_of_is_said_to_wait() -> None:
    """After the patience, in its turn, and what is behind it in its own."""
    watching = watch()
    watching.take(stored(FEEDBACK.name, encode(FACTS.vote("b", 1))), 0.0)
    watching.take(stored(GENERATIONS.name, encode(FACTS.generation("c")), 1), 0.0)
    watching.take(outcome_of(FACTS.generation("c")), 0.0)
    assert fates(watching, 2.9) == []
    assert fates(watching, 3.0) == ["waiting", "joined"]


def test_only_what_is_wanted_is_shown() -> None:
    """By whatever the event says."""

    def votes(event: Mapping[str, Any]) -> bool:
        return bool(event["type"] == "vote")

    watching = Tail(votes, patience_s=0)
    watching.take(stored(GENERATIONS.name, encode(FACTS.generation("a"))), 0.0)
    watching.take(stored(FEEDBACK.name, encode(FACTS.vote("a", 1)), 1), 0.0)
    shown: list[Arrival] = list(watching.ready(0.0))
    assert [arrival.what for arrival in shown] == ["vote 1"]
    assert json.loads(json.dumps(shown[0].as_json()))["event"]["value"] == 1


def test_junk_in_the_outcomes_stops_nothing() -> None:
    """What does not decode there is the worker's to skip."""
    watching = watch()
    for junk in (None, b"", b"[1]", b'{"app": 1}', b"{"):
        watching.take(stored(OUTCOMES.name, junk), 0.0)
    watching.take(stored(DEAD_LETTERS.name, b"", 0, [("other", None)]), 0.0)
    assert fates(watching, 9.0) == []
