"""What docs/operations.md says to save, by the engine's own BACKUP and RESTORE: every number comes back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.tables.migrate import migrate
from keeprate.sinks.upkeep.recompute import GenerationFilter
from keeprate.sinks.upkeep.replay import replay
from tests.pages import NOW, history, land_in

pytestmark = pytest.mark.clickhouse

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "operations.md"
DERIVED: Final = re.compile(
    r"outcomes|suggestions|moves|hour_marks|(summed|sums|checks)_\w+|schema_versions|shard_place"
)
"""Tables that a replay, a migration or the monitor makes anew."""
SCOPE: Final = Scope(NOW - timedelta(days=40), NOW, NOW, by=("app",))


def _saved() -> list[str]:
    """The tables that the document's table names."""
    section = DOCUMENT.read_text("utf-8").split("## What to save")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in rows for name in re.findall(r"`([a-z_]+)`", cell)]


@contextmanager
def _store(directory: Path, name: str) -> Iterator[Client]:
    """A store of this name, migrated, whose engine may make backups in the directory."""
    config = directory / "config.xml"
    allowed = f"<backups><allowed_path>{directory}</allowed_path></backups><logger><level>fatal</level></logger>"
    config.write_text(f"<clickhouse>{allowed}</clickhouse>")
    url = f"chdb://{directory}/{name}%3Fconfig-file={config}"
    migrate(url)
    with connect(url) as client:
        yield client


def _numbers(client: Client) -> list[Any]:
    """Every row that was saved, every outcome and suggestion, and what is counted of them."""
    found = [client.query(f"SELECT * FROM {table} ORDER BY ALL") for table in _saved()]
    found.append(client.query("SELECT * FROM outcomes FINAL ORDER BY ALL"))
    rows = "SELECT * EXCEPT derived_at FROM suggestions FINAL ORDER BY app, generation_id, choice_index"
    found.append(client.query(rows))
    return [*found, queries.funnel(client, SCOPE), queries.retention(client, SCOPE), queries.user_rates(client, SCOPE)]


def _fill(client: Client) -> None:
    land_in(client, history())
    ranges = ("sink", "topic", "partition", "first_offset", "last_offset", "rows", "dead_letters")
    client.insert("ledger", ranges, [("keeprate-sink", "keeprate.feedback", 0, 0, 99, 97, 3)])
    client.insert("forgotten", ("key",), [("somebody",)])


def test_a_backup_gives_every_number_back(tmp_path: Path) -> None:
    """BACKUP of what is to be saved, tables by migrate, RESTORE, replay: as if the first store had never been lost."""
    which = ", ".join(f"TABLE {name}" for name in _saved())
    with _store(tmp_path, "first") as store:
        _fill(store)
        lost = _numbers(store)
        assert all(lost[-3:])
        named = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
        unnamed = {name for (name,) in named} - set(_saved())
        assert {name for name in unnamed if not DERIVED.fullmatch(name)} == set(), "nobody is told whether to save it"
        store.command(f"BACKUP {which} TO File('{tmp_path}/backup')")
    with _store(tmp_path, "second") as store:
        store.command(f"RESTORE {which} FROM File('{tmp_path}/backup')")
        assert replay(Servers([store]), GenerationFilter(), writes=True).written
        assert _numbers(store) == lost
