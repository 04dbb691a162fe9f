"""What the join spends on an event, step by step: each by itself, in this process, without Kafka.

The events, their batches and their sizes are those of the join's bench. What `join.cpu` has above the sum of these is
Faust, librdkafka's threads, RocksDB's, and what the steps lose to caches that others use meanwhile.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from aiokafka import TopicPartition

from keeprate.schemas.outcome import Outcome, encode_outcome
from keeprate.schemas.structs.reading import read
from keeprate.streams.join.expiry import stamp_all
from keeprate.streams.join.feedback_join import join, sift
from keeprate.streams.records import Batches, PartitionRecords, StoredRecord
from keeprate.streams.state.partition import RocksState
from keeprate.streams.worker import collect_seldom
from tests.bench.join_load import START_MS, make
from tests.bench.results import Bench, Result, result
from tests.raw_records import RawRecord, raw_batch

NAMES: Final = {
    "steps.fetch": "CPU time of an event in the join: its record, out of what a broker answers",
    "steps.read": "the same: its struct, checked",
    "steps.lift": "the same: what it says of its suggestions, merged with what others of its batch say",
    "steps.merge": "the same: merged into the outcomes that are known",
    "steps.encode": "the same: the outcomes that changed, as records of the changelog",
    "steps.state": "the same: these, written to RocksDB",
}
_EVENTS: Final = 60_000
_BATCH: Final = 3_000
_LZ4: Final = 3

Answers = list[dict[str, bytes]]
"""For each batch, what a broker answers, by topic."""


def measure(bench: Bench) -> Iterator[Result]:
    """All steps together: each takes what the one before it made."""
    events = bench.events(_EVENTS)
    bench.say(f"making {events:,} events")
    collect_seldom()
    answers = _answers(make(bench.directory / "load", events).records())
    runs: dict[str, list[float]] = defaultdict(list)
    for number in range(bench.runs):
        bench.say(f"run {number + 1} of {bench.runs}")
        for name, took_s in _run(answers, RocksState(bench.directory / f"state-{number}")).items():
            runs[name].append(took_s / events * 1e6)
    for name, values in runs.items():
        if bench.wants(name):
            yield result(name, "µs", values)


def _answers(records: Iterator[tuple[str, bytes, bytes]]) -> Answers:
    answers: Answers = []
    while batch := list(islice(records, _BATCH)):
        by_topic: dict[str, list[RawRecord]] = defaultdict(list)
        for topic, key, value in batch:
            by_topic[topic].append((key, value, []))
        answers.append({topic: raw_batch(some, START_MS, _LZ4) for topic, some in by_topic.items()})
    return answers


def _run(answers: Answers, state: RocksState) -> dict[str, float]:
    took_s: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        began_s = time.process_time()
        yield
        took_s[f"steps.{name}"] += time.process_time() - began_s

    known: dict[str, Outcome] = {}
    for answer in answers:
        with step("fetch"):
            records = [record for topic, data in answer.items() for record in _records(topic, data)]
        with step("read"):
            for record in records:
                read(record.value, record.timestamp, record.key)
        with step("lift"):
            sifted = sift(records)
        with step("merge"):
            joined = join({key: known[key] for key in sifted.facts if key in known}, sifted.facts)
        with step("encode"):
            encoded = {key.encode(): encode_outcome(key, outcome) for key, outcome in joined.outcomes.items()}
        with step("state"):
            state.write(stamp_all(encoded, [START_MS] * len(encoded)), None)
        known |= joined.outcomes
    state.close()
    # A batch is read where it is sifted.
    took_s["steps.lift"] -= took_s["steps.read"]
    return took_s


def _records(topic: str, data: bytes) -> list[StoredRecord]:
    found = PartitionRecords(TopicPartition(topic, 0), Batches(data), [], 0, None, None, True, 0)
    return [record for records in found for record in records]
