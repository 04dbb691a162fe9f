"""What a recovery makes of a changelog into which anybody may have written."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keeprate.schemas.decode import decode
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.streams.app import build
from keeprate.streams.join.batches import Batch, Run
from keeprate.streams.join.expiry import SKEW_MS, stamp, stamped_at_ms, stamps_of_records
from keeprate.streams.metrics import WorkerMetrics
from keeprate.streams.state.changelog import replay
from keeprate.streams.state.table import OutcomeStore
from tests.streaming import Stored
from tests.unit.test_feedback_join import GENERATION, NOW_MS, vote
from tests.unit.test_judging import NO_OUTCOME, NOT_MERGEABLE

KEY = f"chat/{GENERATION}/0".encode()


def outcome(*votes: int) -> bytes:
    """The record of an outcome with these votes."""
    ((key, folded),) = fold(decode(vote(number)) for number in votes).items()
    return encode_outcome(key, folded)


JUNK = [value for value in (*NOT_MERGEABLE, *NO_OUTCOME) if value]


@pytest.mark.parametrize("junk", JUNK)
def test_junk_after_an_outcome_takes_nothing_away(junk: bytes) -> None:
    """What was known stays, and is written back before compaction keeps the junk alone."""
    replayed = replay({}, [(KEY, outcome(1)), (KEY, junk)])
    assert (replayed.values, replayed.behind) == ({KEY: outcome(1)}, {KEY})
    assert len(replayed.unreadable) == 1
    replayed = replay({KEY: outcome(1)}, [(KEY, junk), (KEY, outcome(1, 2))])
    assert (replayed.values, replayed.behind) == ({KEY: outcome(1, 2)}, set())


@pytest.mark.parametrize("junk", JUNK)
def test_an_outcome_after_junk_is_all_that_is_known(junk: bytes) -> None:
    """Whether the junk came before it in the changelog, or is in the state of a version that took it."""
    for held, records in (({}, [(KEY, junk), (KEY, outcome(2))]), ({KEY: junk}, [(KEY, outcome(2))])):
        replayed = replay(held, records)
        assert (replayed.values, replayed.behind) == ({KEY: outcome(2)}, set())
        assert len(replayed.unreadable) == 1


@pytest.mark.parametrize(
    "key",
    [None, b"", b"\xff\xfe", b"chat", b"chat/1/0", KEY + b"0000000", KEY[:-1] + b"-1", b"/" + KEY, b"\x00offset"],
)
def test_what_has_no_key_of_an_outcome_is_left_out(key: bytes | None) -> None:
    """Also a tombstone, and also where the value is an outcome."""
    records = [(key, outcome(1)), (KEY, outcome(1)), (key, None)]
    replayed = replay({}, records)
    assert (replayed.values, len(replayed.unreadable)) == ({KEY: outcome(1)}, 2)
    replayed = replay({}, records[:2])
    assert (replayed.values, len(replayed.unreadable)) == ({KEY: outcome(1)}, 1)


def test_what_was_fetched_before_a_rebalance_ends_nothing(tmp_path: Path) -> None:
    """Faust hands it over when its partition is another worker's already; ours are read as before."""
    tables: Any = build("127.0.0.1:9", tmp_path, WorkerMetrics("join")).tables
    store: OutcomeStore = tables["outcomes"].data
    store._ours = {1}
    records = [Stored(outcome(1), key=KEY, offset=4, timestamp=NOW_MS)]
    batches = [
        SimpleNamespace(message=SimpleNamespace(partition=at, value=Batch({"": Run(4, records)}))) for at in (0, 1)
    ]
    store.apply_changelog_batch(batches, bytes, bytes)
    assert (store.partition(1).offset, store.partition(1).get_many([KEY]) != [None]) == (4, True)
    asyncio.run(store.on_stop())


@pytest.mark.parametrize("timestamp_ms", [None, -1, -(2**62), 0, NOW_MS, 2**62])
def test_a_record_of_any_time_has_a_stamp(timestamp_ms: int | None) -> None:
    """Its own where it has one, and never so late that it would not expire."""
    (of_record,) = stamps_of_records([timestamp_ms], NOW_MS)
    at_ms = stamped_at_ms(stamp(b"", of_record))
    assert NOW_MS <= at_ms <= NOW_MS + SKEW_MS
    assert stamps_of_records([NOW_MS - 1], NOW_MS) == [NOW_MS - 1]
    assert stamps_of_records([NOW_MS - 1, timestamp_ms], NOW_MS) == [NOW_MS - 1, of_record]
