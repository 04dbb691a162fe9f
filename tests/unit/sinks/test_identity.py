"""Topics that are made anew under their names."""

import pytest

from keeprate.sinks.kafka.errors import OffsetLostError
from keeprate.sinks.landing.identity import learn


def test_a_topic_that_was_not_known_is_learnt() -> None:
    """A first id is taken, and the same one again is no news."""
    known: dict[str, str] = {}
    learn(known, {"t": "one"})
    learn(known, {"t": "one"})
    assert known == {"t": "one"}


def test_another_id_stops_the_sink() -> None:
    """The error names topic, both ids and the remedy, and the known id stays."""
    known = {"t": "one"}
    with pytest.raises(OffsetLostError, match=r"t: it was made anew.* one, Kafka as two.* new --group"):
        learn(known, {"t": "two"})
    assert known == {"t": "one"}


def test_a_broker_without_ids_tells_nothing() -> None:
    """Its answer is neither learnt nor held against the ledger."""
    known = {"t": "one"}
    learn(known, {"t": "", "u": ""})
    assert known == {"t": "one"}
