"""When windows are published: what proves that they were ours to count."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from keeprate.schemas.decode import decode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.streams.expiry import stamp
from keeprate.streams.publishing import Publishing, Records, WindowSettings
from keeprate.streams.state import MemoryState, Offsets
from keeprate.streams.windows import Tally
from tests.unit.test_feedback_join import vote


class Kafka:
    """Positions as Kafka knows them, and what is written to it."""

    def __init__(self) -> None:
        self.position: dict[str, int] = {"sources": 0}
        self.committed = 0
        self.written: list[Records] = []

    def acknowledged(self, partition: int) -> Mapping[Any, int]:
        return dict(self.position)

    def is_committed(self, offsets: Mapping[Any, int]) -> bool:
        return all(offset <= self.committed for offset in offsets.values())

    def write(self, number: int, records: Records) -> "asyncio.Future[Offsets]":
        self.written.append(records)
        future: asyncio.Future[Offsets] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def fail(self, error: BaseException) -> None:
        raise error

    def windows_published(self, records: int) -> None:
        """Nobody counts here."""

    def windows_counted(self, tally: Tally) -> None:
        """Nobody counts here."""

    def windows_rebuilt(self, took_s: float) -> None:
        """Nobody counts here."""

    def windows_open(self, windows: int, rebuilding: int) -> None:
        """Nobody counts here."""

    def publishing(self, state: MemoryState) -> Publishing:
        now_ms = lambda: int(time.time() * 1000)  # noqa: E731
        return Publishing(lambda number: state, self.write, lambda: self, self.fail, self, now_ms, WindowSettings(0.0))


async def _turns(publishing: Publishing) -> None:
    for _ in range(10):
        await publishing.turn()


def _landed(publishing: Publishing, state: MemoryState, number: int, offset: int) -> None:
    """A vote of the last minute is joined."""
    now_ms = int(time.time() * 1000)
    event = decode(vote(number, uuid7(now_ms)).replace(b"1764000000000", str(now_ms).encode()))
    outcomes = fold([event])
    stamped = {key.encode(): stamp(encode_outcome(key, outcome), 0) for key, outcome in outcomes.items()}
    state.write(stamped, offset)
    publishing.landed(0, {}, outcomes, (offset, offset, 1))


def test_records_wait_for_the_commit_of_what_they_count() -> None:
    """Until Kafka has taken it, nobody knows whether the partition was still ours."""

    async def scenario() -> None:
        kafka, state = Kafka(), MemoryState()
        publishing = kafka.publishing(state)
        publishing.recovered(0)
        await _turns(publishing)
        _landed(publishing, state, 1, 0)
        kafka.position["sources"] = 5
        await _turns(publishing)
        assert kafka.written == []
        kafka.committed = 5
        await _turns(publishing)
        assert len(kafka.written) == 1

    asyncio.run(scenario())


def test_what_lands_after_the_partition_was_revoked_is_not_published() -> None:
    """Between its revocation and the next assignment it has no position, and so nothing would prove the record."""

    async def scenario() -> None:
        kafka, state = Kafka(), MemoryState()
        publishing = kafka.publishing(state)
        publishing.recovered(0)
        await _turns(publishing)
        kafka.position.clear()
        _landed(publishing, state, 1, 0)
        await _turns(publishing)
        assert kafka.written == []
        kafka.position["sources"] = 0
        await _turns(publishing)
        assert len(kafka.written) == 1

    asyncio.run(scenario())
