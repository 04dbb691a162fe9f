"""The generator of hostile content: what it makes, and that it is made as it says."""

import random
from collections import Counter
from contextlib import suppress

import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.schemas.decode import ContractError, decode
from keeprate.schemas.topics import FEEDBACK, SOURCES
from tests.fault.content import values
from tests.fault.content.grammar import Events, Hostile, source_records
from tests.fault.content.innocent import innocent_log
from tests.fault.content.junk import junk_records
from tests.fault.content.named import cases
from tests.fault.content.requests import requests
from tests.fault.content.wire import NotTakenError, Wire
from tests.streaming import create_topics, read

NOW_MS = 1_790_000_000_000
OTHERS = ("0198c0de-0000-7000-8000-000000000001",)


def test_a_seed_decides_every_byte() -> None:
    """The same seed makes the same records and requests, another seed makes others."""
    for make in (source_records, junk_records, requests):
        assert make(7, 60, NOW_MS, OTHERS) == make(7, 60, NOW_MS, OTHERS)
        assert make(7, 60, NOW_MS, OTHERS) != make(8, 60, NOW_MS, OTHERS)


def test_a_valid_event_is_valid() -> None:
    """Also at the bounds: what begins as hostile is so by its mutations alone."""
    events = Events(random.Random(2), NOW_MS)
    for _ in range(2_000):
        decode(values.encoded(events.valid()), NOW_MS)


def test_records_are_odd_and_valid_or_refused_for_every_reason() -> None:
    """A generator of which all is refused at once would test nothing behind the gate."""
    verdicts = Counter[str]()
    for record in source_records(1, 3_000, NOW_MS, OTHERS):
        try:
            verdicts[decode(record.value)["type"]] += 1
        except ContractError as error:
            verdicts[error.error_type] += 1
    assert verdicts.keys() >= {
        "empty",
        "too_large",
        "not_utf8",
        "not_json",
        "unknown_version",
        "unknown_type",
        "invalid",
    }
    assert verdicts.keys() >= values.schemas().keys()
    assert sum(verdicts[kind] for kind in values.schemas()) > 600


def test_every_field_of_the_contract_is_mutated() -> None:
    """Fields come from the contract's JSON Schema, so a new one is met without being named in the generator."""
    events = Events(random.Random(3), NOW_MS)
    changed = Counter(
        what.split("=")[0] for _ in range(20_000) for what in events.mutated()[0].split(", ") if "=" in what
    )
    assert changed.keys() >= {name for fields in values.schemas().values() for name in fields}


def test_the_innocent_app_sends_every_type() -> None:
    """And the same at every time."""
    log = innocent_log(NOW_MS)
    assert {event["type"] for event in log} == values.schemas().keys()
    later = [{**event, "occurred_at": event["occurred_at"] - 1000} for event in innocent_log(NOW_MS + 1000)]
    assert later == log


@pytest.mark.slow
def test_records_stand_in_kafka_as_they_were_made(kafka: KafkaBroker) -> None:
    """By key, value and offset, whatever stands in them."""
    create_topics(kafka.bootstrap)
    records = [
        *source_records(5, 150, NOW_MS, OTHERS),
        *(one for case in cases(NOW_MS, OTHERS) for one in case.records[:3]),
    ]
    sources = [record for record in records if record.topic in {topic.name for topic in SOURCES}]
    written = {}
    with Wire(kafka.bootstrap, "") as wire:
        for record in sources:
            # Times that this broker's topics do not take.
            with suppress(NotTakenError):
                written[record.topic, *wire.write(record)] = record
    assert len(written) > 0.9 * len(sources)
    found = {
        (each.topic(), each.partition(), each.offset()): each
        for name in SOURCES
        for each in read(kafka.bootstrap, name.name)
    }
    for at, record in written.items():
        assert (found[at].key(), found[at].value()) == (record.key, record.value), record.what


@pytest.mark.slow
def test_the_broker_refuses_a_batch_whose_time_is_beyond_its_topics(kafka: KafkaBroker) -> None:
    """What is not taken is told apart from what is."""
    create_topics(kafka.bootstrap)
    with Wire(kafka.bootstrap, "") as wire, pytest.raises(NotTakenError):
        wire.write(Hostile("of the future", FEEDBACK.name, b"k", b"v", timestamp_ms=2**62))
