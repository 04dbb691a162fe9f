"""What once ended or blinded the pipeline, or landed as something that it is not, by name. Pure.

Of each, some is sent through the collector and all of it stands in Kafka: neither door may make a difference.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from keeprate.schemas.decode import NIL_ID
from keeprate.schemas.topics import FEEDBACK, GENERATIONS, OUTCOMES, topic_of
from tests.fault.content import values
from tests.fault.content.grammar import HOSTILE, Hostile
from tests.fault.content.requests import JSON, Request
from tests.fault.content.values import DAY_MS, Raw

_MOST_RECORDS: Final = 1_500
"""Of a case, in Kafka: as many say that nearly all of an app's records are refused."""


@dataclass(frozen=True)
class Case:
    """requests: sent to the collector. records: written into Kafka as they are, afterwards."""

    name: str
    records: tuple[Hostile, ...] = ()
    requests: tuple[Request, ...] = ()


def cases(now_ms: int, others: tuple[str, ...]) -> Iterator[Case]:
    """All of them. others: generations of the app that is innocent."""
    make = _Events(now_ms)
    generation = make.event("generation")
    yield make.both("a cost of 1e300", [generation | {"cost_usd": 1e300}])
    yield make.both("costs that sum beyond 64 bits", [make.event("generation", cost_usd=1e11) for _ in range(3)])
    yield make.both("costs at the bound", [make.event("generation", cost_usd=999_999.0) for _ in range(3)])
    nil = [make.event("vote", value=1) | {"event_id": NIL_ID, "generation_id": NIL_ID} for _ in range(10_000)]
    yield make.both("10,000 votes with the nil UUID", nil)
    yield make.both("an integer beyond 64 bits", [make.event("generation", parameters={"seed": 2**70})])
    yield make.both("1e400", [make.event("generation", parameters={"temperature": Raw("1e400")})])
    wide = make.event("vote", score=1e308, scale_min=-1e308, scale_max=1e308, user="u1")
    yield make.both("a scale wider than a number", [wide, wide, wide | {"event_id": make.identity(), "revision": 1}])
    yield make.both("occurred_at of the year 2128", [make.event("vote", value=1) | {"occurred_at": 5_000_000_000_000}])
    yield make.both("occurred_at in seconds", [make.event("vote", value=1) | {"occurred_at": now_ms // 1000}])
    about = make.event("generation")
    votes = [make.event("vote", value=v, user="u1") | {"generation_id": about["generation_id"]} for v in (1, -1)]
    yield make.both("a vote of next year", [about, votes[0] | {"occurred_at": now_ms + 365 * DAY_MS}, votes[1]])
    yield make.both("one event_id, two contents", [votes[1], votes[1] | {"value": 0}, votes[1] | {"type": "flag"}])
    message = {"role": "assistant", "content": "x"}
    yield make.both("10,000 outputs", [make.event("generation", output=[message] * 10_000)])
    yield make.both("choices of 65", [make.event("generation", output=[message] * 65)])
    claimed = make.event("generation", revision=2**31 - 1, model="mine") | {"generation_id": others[0]}
    yield make.both("another app's generation", [claimed, make.event("vote", value=-1) | {"generation_id": others[0]}])
    yield Case(
        "a header whose name is not UTF-8", tuple(make.record(wide_one, ((b"\xff\xfe", b"v"),)) for wide_one in votes)
    )
    zeros = Hostile("20 MB of zeros", GENERATIONS.name, b"k", bytes(20 << 20), compressed=True)
    yield Case(
        "20 MB of zeros, compressed", (zeros, Hostile("in feedback", FEEDBACK.name, None, zeros.value, compressed=True))
    )
    rubbish = (b"no JSON", b"[]", b'{"app":"innocent"}', b"\xff", b'{"app":"a","generation_id":1,"choice_index":[]}')
    key = f"innocent/{others[0]}/0".encode()
    yield Case("junk among the outcomes", tuple(Hostile("junk", OUTCOMES.name, key, value) for value in rubbish))
    yield Case("OTLP nested 197 to 200 deep", (), tuple(make.nested(depth) for depth in range(195, 202)))


class _Events:
    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._number = 0

    def identity(self) -> str:
        self._number += 1
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"reproduction {self._number}"))

    def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        envelope = {"type": kind, "event_id": self.identity(), "schema_version": 1, "occurred_at": self.now_ms - 60_000}
        return envelope | {"app": HOSTILE, "generation_id": self.identity()} | fields

    def both(self, name: str, events: list[dict[str, Any]]) -> Case:
        return Case(
            name,
            tuple(map(self.record, events[:_MOST_RECORDS])),
            (Request(name, "/v1/events", values.encoded(events), JSON),),
        )

    def record(self, event: dict[str, Any], headers: tuple[tuple[bytes, bytes | None], ...] = ()) -> Hostile:
        topic, key = topic_of(event["type"]).name, event["generation_id"].encode()
        return Hostile(event["type"], topic, key, values.encoded(event), headers)

    def nested(self, depth: int) -> Request:
        """A span whose messages hold what is nested so deep."""
        content = "[" * depth + "]" * depth
        attributes = [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.input.messages", "value": {"stringValue": f'[{{"role":"user","content":{content}}}]'}},
        ]
        span_id = f"{depth:016x}"
        at = str(self.now_ms * 1_000_000)
        span = {"traceId": "ab" * 16, "spanId": span_id, "name": "chat", "startTimeUnixNano": at, "endTimeUnixNano": at}
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span | {"attributes": attributes}]}]}]}
        return Request(f"{depth} deep", "/v1/traces", values.encoded(body), JSON)
