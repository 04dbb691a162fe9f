"""Segments and spools on disk: what a kill can cut short, who may adopt, what is counted."""

import os
import random
from pathlib import Path

import pytest

from keeprate.producers.sdk.journal import Check, Journal
from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.segments import FRAME_BYTES, OutgoingRecord, Segment, in_memory
from keeprate.producers.sending.spool import CHECKS, Orphan, Spool
from keeprate.producers.sending.supply import Supply

SIZE = 4096
KEY = b"k" * 36


def fill(segment: Segment, values: list[bytes]) -> None:
    """Append values, all of which have room."""
    assert all(segment.append(number % 2, KEY, value) for number, value in enumerate(values))


def read_all(segment: Segment) -> list[OutgoingRecord]:
    """What is not settled, from the beginning."""
    segment.rewind()
    return list(iter(segment.read, None))


def abandoned(home: Path, name: str, values: list[bytes]) -> Path:
    """A spool whose process is gone, with one segment; the segment's file."""
    spool = Spool(home, name, SIZE)
    segment = spool.make()
    fill(segment, values)
    spool.detach()
    assert segment.path is not None
    return segment.path


def adopted(home: Path) -> list[Orphan]:
    """What a new process takes over."""
    return list(Spool(home, "new", SIZE).adopt())


def test_a_segment_gives_back_what_it_took() -> None:
    """Topic, key and value, in order; a full one takes no more and loses nothing by the attempt."""
    segment = in_memory(SIZE)
    fill(segment, [b"one", b"two"])
    assert not segment.append(0, KEY, b"x" * SIZE)
    assert segment.append(0, KEY, b"")
    assert [(record.topic, record.key, record.value) for record in read_all(segment)] == [
        (0, KEY, b"one"),
        (1, KEY, b"two"),
        (0, KEY, b""),
    ]


def test_settled_records_are_not_read_again() -> None:
    """After a failure only what nobody acknowledged is sent again, in its order."""
    segment = in_memory(SIZE)
    fill(segment, [b"a", b"b", b"c", b"d"])
    records = read_all(segment)
    for index in (0, 2):
        segment.settle(records[index].offset)
    assert [record.value for record in read_all(segment)] == [b"b", b"d"]
    assert segment.waiting == 2


@pytest.mark.parametrize("seed", range(20))
def test_whatever_byte_a_kill_stops_at_the_records_before_it_are_whole(tmp_path: Path, seed: int) -> None:
    """A tail that was being written is cut off, and nothing in front of it."""
    rng = random.Random(seed)
    values = [rng.randbytes(rng.randrange(60)) for _ in range(20)]
    path = abandoned(tmp_path, "old", values)
    ends = [0]
    for value in values:
        ends.append(ends[-1] + FRAME_BYTES + len(value))
    cut = rng.randrange(ends[-1])
    path.write_bytes(path.read_bytes()[:cut].ljust(SIZE, b"\0"))
    whole = sum(end <= cut for end in ends[1:])
    (orphan,) = adopted(tmp_path)
    found = [record.value for segment in orphan.segments for record in read_all(segment)]
    # The header alone may make a record of nothing but zeros whole again: only ever the very next one.
    assert found in (values[:whole], values[: whole + 1])


def test_a_damaged_record_ends_its_segment(tmp_path: Path) -> None:
    """A flipped bit is found by the CRC; what follows is not trusted."""
    path = abandoned(tmp_path, "old", [b"one", b"two", b"three"])
    content = bytearray(path.read_bytes())
    content[2 * FRAME_BYTES + 3] ^= 1
    path.write_bytes(content)
    (orphan,) = adopted(tmp_path)
    assert [record.value for record in read_all(orphan.segments[0])] == [b"one"]


def test_a_living_process_keeps_its_spool_and_a_dead_one_is_adopted_once(tmp_path: Path) -> None:
    """The lock decides: one adopter, and only after the process is gone."""
    living = Spool(tmp_path, "living", SIZE)
    fill(living.make(), [b"mine"])
    abandoned(tmp_path, "dead", [b"left"])
    first, second = Spool(tmp_path, "first", SIZE), Spool(tmp_path, "second", SIZE)
    (orphan,) = first.adopt()
    assert [record.value for record in read_all(orphan.segments[0])] == [b"left"]
    assert list(second.adopt()) == []
    assert list(first.adopt()) == []


def test_an_orphan_goes_with_its_last_segment(tmp_path: Path) -> None:
    """Nothing of it is left once everything it held is settled, and neither is an orphan that held nothing."""
    abandoned(tmp_path, "dead", [b"left"])
    abandoned(tmp_path, "empty", [])
    spool = Spool(tmp_path, "new", SIZE)
    orphans = list(spool.adopt())
    for orphan in orphans:
        for segment in orphan.segments:
            spool.discard(segment)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_what_was_in_memory_only_is_known_to_the_adopter_once(tmp_path: Path) -> None:
    """The ledger survives the process, and is counted by one adopter only, even where that one is killed too."""
    spool = Spool(tmp_path, "old", SIZE)
    fill(spool.make(), [b"kept"])
    spool.ledger.count = 7
    (spool.directory / CHECKS).write_text("checks")
    spool.detach()
    first = Spool(tmp_path, "first", SIZE)
    assert [(orphan.lost, orphan.checks) for orphan in first.adopt()] == [(7, "checks")]
    first.detach()
    assert [(orphan.lost, orphan.checks) for orphan in Spool(tmp_path, "second", SIZE).adopt()] == [(0, ""), (0, "")]


def test_closing_keeps_on_disk_what_was_in_memory(tmp_path: Path) -> None:
    """What is left at the end goes to a file, as small as what it holds; the next start finds it."""
    supply = Supply(SIZE, lambda: Spool(tmp_path, "old", SIZE))
    on_disk = supply.make_on_disk()
    assert on_disk is not None
    memory = supply.make_in_memory()
    fill(memory, [b"a", b"b"])
    memory.settle(read_all(memory)[0].offset)
    assert supply.close([on_disk, memory]) == (1, 0)
    (path,) = tmp_path.rglob("*.seg")
    assert path.stat().st_size == FRAME_BYTES + 1
    (orphan,) = adopted(tmp_path)
    assert [record.value for record in read_all(orphan.segments[0])] == [b"b"]


def test_without_a_disk_the_end_loses_what_is_left_and_says_so() -> None:
    """There is nowhere to keep it."""
    supply = Supply(SIZE, None)
    segment = supply.make_in_memory()
    fill(segment, [b"a"])
    assert supply.make_on_disk() is None
    assert supply.close([segment]) == (0, 1)


def test_spools_are_for_their_user_alone(tmp_path: Path) -> None:
    """Nobody else on the machine can read what users wrote, whatever the umask of the app."""
    before = os.umask(0)
    try:
        spool = Spool(tmp_path / "state" / "home", "mine", SIZE)
        spool.make()
        journal = Journal(spool.directory / CHECKS)
        for number in range(20):
            journal.add(number, Check({"generation_id": "g"}, 1, "secret", 30, 0))
        journal._rewrite()
    finally:
        os.umask(before)
    found = list((tmp_path / "state").rglob("*"))
    assert spool.directory / CHECKS in found
    for path in (tmp_path / "state", *found):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_backlog_at_its_limit_gives_up_its_oldest_unsent_segment() -> None:
    """What a producer holds stays, the newest stays; what goes is counted by the caller."""
    backlog = Backlog(segment_bytes=SIZE, limit_bytes=3 * SIZE, memory_bytes=3 * SIZE)
    value = b"x" * (SIZE - FRAME_BYTES)
    for _ in range(3):
        assert backlog.append(0, KEY, value)
    assert backlog.append(0, KEY, value) is None
    assert backlog.is_over_limit()
    sent = backlog.read()
    assert sent is not None
    evicted = backlog.evict()
    assert evicted is not None
    assert evicted.waiting == 1
    assert backlog.evict() is None
    assert backlog.waiting == 2


def test_a_reader_follows_into_the_segments_that_are_added_while_it_reads() -> None:
    """Whatever is appended between two reads is read, in order, across segments."""
    backlog = Backlog(segment_bytes=SIZE, limit_bytes=8 * SIZE, memory_bytes=8 * SIZE)
    found = []
    for number in range(200):
        assert backlog.append(0, KEY, b"%04d" % number + b"x" * 100)
        if number % 7 == 0:
            found += [record.value[:4] for _, record in iter(backlog.read, None)]
    found += [record.value[:4] for _, record in iter(backlog.read, None)]
    assert found == [b"%04d" % number for number in range(200)]
