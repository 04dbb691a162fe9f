"""The read side in process: the tables, the views over them, and the outcomes of a log of events."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from keeprate.schemas.events import Event
from keeprate.schemas.outcome import encode_outcome, fold, lift
from keeprate.sinks.clickhouse import Client, connect
from keeprate.sinks.migrate import apply, scripts


@contextmanager
def reading() -> Iterator[Client]:
    """A ClickHouse engine of its own with every table, empty, and every view; gone afterwards."""
    # chDB holds one directory per process, so whoever opens it closes it before the next.
    directory = tempfile.mkdtemp()
    client = connect(f"chdb://{directory}", "default")
    try:
        apply(client, scripts())
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


def _insert(client: Client, rows: list[bytes]) -> None:
    client.command("TRUNCATE TABLE outcomes")
    settings = {"input_format_json_named_tuples_as_objects": 0}
    client.insert_bytes("outcomes", (), b"\n".join(rows), "JSONEachRow", settings)
