"""Records are read again in as few requests as their places allow."""

from dataclasses import dataclass, field

import pytest

from keeprate.sinks.kafka import reader
from keeprate.sinks.kafka.client import End
from keeprate.sinks.kafka.reader import Reader, stretches
from keeprate.sinks.kafka.records import Record, TopicPartition
from tests.unit.sinks.records import FakeRecord

AT = ("keeprate.feedback", 0)


@dataclass
class Partition:
    """What Kafka holds of a partition, by offset, as a consumer hands it out."""

    held: set[int]
    begin: int = 0
    assigned: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def assign(self, at: TopicPartition, offset: int) -> None:
        self.assigned.append(offset)
        self.begin = offset

    def poll(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[End]]:
        self.asked.append(max_records)
        found = sorted(offset for offset in self.held if offset >= self.begin)
        taken = found[:max_records]
        ends = [End(*AT, max(self.held) + 1)] if taken == found else []
        self.begin = taken[-1] + 1 if taken else self.begin
        return [FakeRecord(offset, b"") for offset in taken], ends


def read(monkeypatch: pytest.MonkeyPatch, partition: Partition, gaps: list[tuple[int, int]]) -> list[int]:
    monkeypatch.setattr(reader, "Consumer", lambda *_: partition)
    return [record.offset() for record in Reader("nowhere:1").read(AT, gaps)]


def test_near_ranges_are_read_through_and_far_ones_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    """One seek for what lies together, and no more records asked for than lie up to the last one."""
    partition = Partition(set(range(30_000)))
    gaps = [(5, 5), (90, 92), (20_000, 20_001)]
    assert read(monkeypatch, partition, gaps) == [5, 90, 91, 92, 20_000, 20_001]
    assert partition.assigned == [5, 20_000]
    assert partition.asked == [88, 2]


def test_what_kafka_no_longer_holds_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets that retention or compaction took, and those behind the end, end nothing."""
    partition = Partition({3, 7, 8, 12})
    assert read(monkeypatch, partition, [(0, 3), (6, 7), (9, 11)]) == [3, 7]
    assert read(monkeypatch, partition, [(12, 90)]) == [12]


def test_ranges_near_each_other_are_one_stretch() -> None:
    """Whatever their number."""
    gaps = [(0, 1), (4_000, 4_100), (9_099, 9_100), (20_000, 20_000)]
    assert list(stretches(gaps)) == [gaps[:3], gaps[3:]]
    assert list(stretches([])) == []
