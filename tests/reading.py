"""The read side in process: the tables, the views over them, and the outcomes of a log of events."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from keeprate.schemas.decode import encode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold, lift
from keeprate.schemas.outcome import encode_outcome
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.tables.migrate import apply, derive_anew, scripts

EPOCH: Final = datetime.fromtimestamp(0, UTC)


@contextmanager
def reading() -> Iterator[Client]:
    """A ClickHouse engine of its own with every table, empty, and every view; gone afterwards."""
    # chDB holds one directory per process, so whoever opens it closes it before the next.
    directory = tempfile.mkdtemp()
    client = connect(f"chdb://{directory}", "default")
    try:
        apply(client, scripts())
        derive_anew(Servers([client]))
        yield client
    finally:
        client.close()
        shutil.rmtree(directory, ignore_errors=True)


def load(client: Client, log: Iterable[Event]) -> None:
    """Insert the outcomes of a log, merged."""
    _insert(client, [encode_outcome(key, outcome) for key, outcome in fold(log).items()])


def load_facts(client: Client, log: Iterable[Event]) -> None:
    """Insert what each event says as a row of its own: the merge is left to ClickHouse."""
    _insert(client, [encode_outcome(key, fact) for event in log for key, fact in lift(event)])


def load_all(client: Client, log: Sequence[Event], stored_at: datetime | None = None) -> None:
    """Insert the events of a log as facts, stored now or at a given time, and the outcomes that they merge to."""
    load(client, log)
    for table, wanted in (("generations", True), ("feedback", False)):
        client.command(f"TRUNCATE TABLE {table}")
        rows = [
            (encode(event).decode(), f"keeprate.{table}", 0, offset, EPOCH, stored_at or datetime.now(UTC))
            for offset, event in enumerate(event for event in log if (event["type"] == "generation") == wanted)
        ]
        client.insert(table, ("event", "topic", "partition", "offset", "recorded_at", "stored_at"), rows)


def _insert(client: Client, rows: list[bytes]) -> None:
    client.command("TRUNCATE TABLE outcomes")
    settings = {"input_format_json_named_tuples_as_objects": 0}
    client.insert_bytes("outcomes", (), b"\n".join(rows), "JSONEachRow", settings)
    client.command("TRUNCATE TABLE suggestions")
    derive_all(client)
