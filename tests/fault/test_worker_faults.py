"""Whatever is done to workers and broker, the outcomes are those of a single thread over the same events."""

import random
from collections.abc import Iterator

import pytest

from keeprate.deploy.broker import KafkaBroker
from tests.fault.worker_faults import FAULTS, Arena, Fault, survive
from tests.streaming import create_topics

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def broker(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that may be killed; the shared one only says whether there can be any."""
    with KafkaBroker(tmp_path_factory.mktemp("broker")) as own:
        create_topics(own.bootstrap)
        yield own


@pytest.mark.parametrize(("name", "fault"), FAULTS.items(), ids=FAULTS)
def test_outcomes_survive(
    broker: KafkaBroker, tmp_path_factory: pytest.TempPathFactory, name: str, fault: Fault
) -> None:
    """Nothing is lost and nothing counts twice; after a recovery the changelog's last records say so too."""
    arena = Arena(broker, tmp_path_factory.mktemp(name), seed=random.randrange(10**6))
    print(f"seed {arena.seed}")  # noqa: T201 - pytest shows it with a failure
    survive(arena, fault)
    assert arena.wrong() == []
    try:
        assert arena.behind() == []
    finally:
        arena.workers[0].process.kill()
