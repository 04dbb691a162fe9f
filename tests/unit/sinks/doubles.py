"""Kafka and the store in memory, for tests of the protocol without either."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keeprate.sinks.kafka.errors import BrokerError
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing.flights import Flights
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.shards import Shard
from keeprate.sinks.store.clickhouse import BatchRejectedError, Row, Settings, StoreUnavailableError
from tests.unit.sinks.records import FakeRecord

AT = ("keeprate.feedback", 2)
GOOD = (
    b'{"type":"action","event_id":"0190a000-0000-7000-8000-00000000000%d","schema_version":1,'
    b'"occurred_at":1764000000000,"app":"a","generation_id":"0190a000-0000-7000-8000-000000000000","action":"shown"}'
)


@dataclass
class Doubles:
    """Kafka and the store in one, recording what is asked of them in order, failing where a test says.

    noted: of how many inserts the store keeps the token alone. under_way: how many of former processes it works at.
    Record n of a range, from 1, has the value `GOOD % n`.
    """

    calls: list[str] = field(default_factory=list)
    commits: list[dict[TopicPartition, int]] = field(default_factory=list)
    letters: list[Any] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    fail: dict[str, list[Exception]] = field(default_factory=dict)
    refuse: bytes = b"\0never\0"
    away_at_insert: int = 0
    noted: int = 0
    under_way: int = 0
    data: bytes = b""

    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> dict[TopicPartition, BrokerError]:
        self.commits.append({at: offset for at, (offset, _) in offsets.items()})
        failed = {}
        for at, (offset, metadata) in offsets.items():
            try:
                self._call(f"commit {offset}" + (" intent" if metadata else ""))
            except BrokerError as error:
                failed[at] = error
        return failed

    def write(self, letters: Sequence[Any]) -> None:
        self._call("letters")
        self.letters += letters

    def insert_bytes(
        self, table: str, columns: Sequence[str], data: bytes, format_name: str, settings: Mapping[str, str | int]
    ) -> None:
        self._call(f"insert {table}")
        if self.calls.count(f"insert {table}") == self.away_at_insert:
            raise StoreUnavailableError("away")
        if self.refuse in data:
            raise BatchRejectedError("refused", 117, "INCORRECT_DATA")
        self.tokens.append(str(settings.get("insert_deduplication_token", "")))
        if self.noted:
            # The token is all that is left of it.
            self.noted -= 1
            raise StoreUnavailableError("died")
        if self.tokens[-1] and self.tokens[-1] in self.tokens[:-1]:
            return
        if table == "ledger":
            self.ledger.append(json.loads(data))
        else:
            self.data += data

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        self._call("command")

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        self._call("query")
        if "system.processes" in statement:
            return [(self.under_way,)]
        if "FROM ledger" in statement:
            return [(len(self.ledger),)]
        first = (parameters or {})["first"]
        return [(first + n - 1,) for n in range(1, 10) if GOOD % n in self.data]

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.fail.get(name):
            raise self.fail[name].pop(0)


def flush_of(
    doubles: Doubles, *values: bytes | None, first: int = 0, at: TopicPartition = AT
) -> tuple[Flush, Destination]:
    """A flush of records with these values, and where it goes."""
    records = [FakeRecord(first + n, value) for n, value in enumerate(values)]
    flush = Flush(at, Intent(first, first + len(values) - 1, "1.3"), records)
    return flush, Destination("sink", doubles, doubles, [Shard(doubles)], 3)


def land(flush: Flush, to: Destination) -> None:
    """Do what is left of the protocol, or raise what stopped it."""
    flights = Flights(to)
    try:
        failed = flights.begin([flush])
        if not failed:
            flights.wait(30)
        for _, error in failed + flights.collect():
            if error is not None:
                raise error
    finally:
        flights.close()
