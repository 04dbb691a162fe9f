"""The sink against a real broker and the real engine: every record is a row, a dead letter or filtered, once."""

import random
import time
import urllib.request
from pathlib import Path

import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import free_port
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.landing import ALL_LANDED, BROKEN, Source, account, sink_process, wait_landed


@pytest.fixture
def broker(empty_broker: KafkaBroker) -> KafkaBroker:
    """With nothing but what the test writes: the sink reads topics by their names."""
    create_topics(empty_broker.bootstrap, 4)
    return empty_broker


@pytest.fixture
def database(store: StoreProcess) -> str:
    """A database of the test's own, migrated, in which rows that appear twice stay visible."""
    url = f"{store.url}/sink_{random.randrange(10**9)}"
    migrate(url)
    with connect(url) as client:
        for table in ("generations", "feedback", "ledger"):
            client.command(f"SYSTEM STOP MERGES {table}")
    return url


def test_every_record_is_a_row_or_a_dead_letter(broker: KafkaBroker, database: str, tmp_path: Path) -> None:
    """Good and broken records, and a stop by SIGTERM: nothing is lost, doubled or unaccounted for."""
    source = Source(broker.bootstrap, seed=1)
    source.write(5000)
    port = free_port()
    with sink_process(broker.bootstrap, database, tmp_path / "sink.log", "--metrics-port", str(port)) as sink:
        wait_landed(broker.bootstrap, "keeprate-sink", ALL_LANDED)
        scraped = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        assert sink.terminate(20) == 0
    found = account(database, broker.bootstrap, "keeprate-sink")
    assert found.clean, found
    assert found.rows + found.dead_letters == 5000
    assert found.dead_letters > len(BROKEN)
    counted = {line.split()[0]: float(line.split()[1]) for line in scraped.splitlines() if not line.startswith("#")}
    # A dead letter counts where its record was refused, and as a row where its letter is landed.
    assert counted['keeprate_member_records_total{result="dead_letter",stage="store"}'] == found.dead_letters
    assert counted['keeprate_member_records_total{result="ok",stage="store"}'] == 5000


def test_a_sink_killed_at_random_loses_and_doubles_nothing(broker: KafkaBroker, database: str, tmp_path: Path) -> None:
    """kill -9 at random moments under load: each record lands once."""
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    source = Source(broker.bootstrap, seed)
    sink = sink_process(broker.bootstrap, database, tmp_path / "sink.log", "--instance", "one")
    for _ in range(6):
        source.write(2000)
        sink.start()
        time.sleep(rng.uniform(1.5, 3.5))
        sink.kill()
    with sink:
        wait_landed(broker.bootstrap, "keeprate-sink", ALL_LANDED, 90)
    found = account(database, broker.bootstrap, "keeprate-sink")
    assert found.clean, (seed, found)
    assert found.rows + found.dead_letters == 12_000
