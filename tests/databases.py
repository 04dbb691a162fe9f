"""Migrated databases without a row, for tests that want one of their own.

Migrating costs 0.43 s of CPU time. To copy the tables of a database that was migrated costs half of that,
and emptying a tenth: so a store migrates one, which nobody writes to, and copies it; and a database that a test gives
back is the next one's, unless the test changed more than rows.
"""

import threading
import uuid
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self

from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate

_ORIGINAL: Final = "migrated"
"""The database of a store of which the others are copies."""
_tables: dict[str, list[str]] = {}
"""What the original has, by the store's URL."""
_migrating: Final = threading.Lock()
_LOOK: Final = """
WITH
    (SELECT groupArray((name, checksum)) FROM (SELECT * FROM `{name}`.schema_versions FINAL ORDER BY name)) AS versions
SELECT
    groupArray((name, create_table_query)) AS tables,
    versions,
    groupArrayIf(name, ifNull(total_rows, 0) > 0 AND name != 'schema_versions') AS filled
FROM (SELECT name, create_table_query, total_rows FROM system.tables WHERE database = '{name}' ORDER BY name)
"""


def make_migrated(url: str) -> None:
    """Make a database that is not there, as migrating makes it."""
    store_url, _, name = url.rpartition("/")
    with connect(f"{store_url}/default") as client:
        tables = _of_original(store_url, client)
        client.command(f"CREATE DATABASE `{name}`")
    # Without its name the statements are the same for each, and the store's door knows them.
    with connect(url) as client:
        for table in tables:
            client.command(f"CREATE TABLE `{table}` AS `{_ORIGINAL}`.`{table}`")
        client.command(f"INSERT INTO schema_versions SELECT * FROM `{_ORIGINAL}`.schema_versions")


def _of_original(store_url: str, client: Client) -> list[str]:
    """Its tables; it is migrated at the first call."""
    with _migrating:
        if store_url not in _tables:
            migrate(f"{store_url}/{_ORIGINAL}")
            found = client.query(f"SELECT name FROM system.tables WHERE database = '{_ORIGINAL}' ORDER BY name")
            _tables[store_url] = [str(table) for (table,) in found]
        return _tables[store_url]


class Databases(AbstractContextManager["Databases"]):
    """Those of one store, which are used one after the other."""

    def __init__(self, store_url: str) -> None:
        self._store_url = store_url
        self._client = connect(f"{store_url}/default")
        self._as_made: dict[str, object] = {}
        self._free: list[str] = []

    def take(self) -> str:
        """The name of one."""
        if self._free:
            return self._free.pop()
        name = f"own_{uuid.uuid4().hex[:8]}"
        make_migrated(f"{self._store_url}/{name}")
        self._as_made[name], _ = self._look(name)
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next test, or drop it."""
        found, filled = self._look(name)
        if found != self._as_made[name]:
            self._client.command(f"DROP DATABASE `{name}`")
            return
        # A test may have stopped them, so that rows that appear twice stay visible.
        self._client.command("SYSTEM START MERGES")
        for table in filled:
            self._client.command(f"TRUNCATE TABLE `{name}`.`{table}`")
        self._free.append(name)

    def _look(self, name: str) -> tuple[object, list[str]]:
        """Its tables with all that is known of migrations, and which of the others hold rows."""
        ((tables, versions, filled),) = self._client.query(_LOOK.format(name=name))
        return (tables, versions), list(filled)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()
