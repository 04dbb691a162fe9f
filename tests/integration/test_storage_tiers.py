"""Facts on a second disk, and none beyond an age, as docs/operations.md says it: every number stays."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from keeprate.sinks.checks.verification import CheckScope, verify
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate
from tests.pages import NOW, history, land_in

pytestmark = pytest.mark.clickhouse

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "operations.md"
SCOPE: Final = Scope(NOW - timedelta(days=40), NOW, NOW, by=("app",))
KEPT_DAYS: Final = 5
"""Of nine; what began before has no event at the end any more."""


def _statements() -> list[str]:
    """The document's, of both tables of facts."""
    section = DOCUMENT.read_text("utf-8").split("## How long rows stay")[1].split("\n## ")[0]
    blocks = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    said = [one.strip() for block in blocks for one in block.split(";") if one.strip()]
    return [one.replace("generations", table) for one in said for table in ("generations", "feedback")]


def _numbers(client: Client) -> list[Any]:
    return [queries.funnel(client, SCOPE), queries.retention(client, SCOPE), queries.feedback_rates(client, SCOPE)]


def _merged(client: Client) -> dict[str, int]:
    """The rows on each disk, once nothing is left to move or to remove."""
    for table in ("generations", "feedback"):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    named = "database = currentDatabase() AND table IN ('generations', 'feedback')"
    rows = client.query(f"SELECT disk_name, sum(rows) FROM system.parts WHERE active AND {named} GROUP BY ALL")
    return {str(disk): int(number) for disk, number in rows if number}


def test_older_facts_move_and_end_and_numbers_stay(tmp_path: Path) -> None:
    """What is kept still agrees with its outcomes, and a migration finds nothing to do."""
    config = tmp_path / "config.xml"
    disks = f"<disks><cold><path>{tmp_path}/cold/</path></cold></disks>"
    volumes = "<default><disk>default</disk></default><cold><disk>cold</disk></cold>"
    storage = f"{disks}<policies><tiered><volumes>{volumes}</volumes></tiered></policies>"
    quiet = "<logger><level>fatal</level></logger>"
    config.write_text(f"<clickhouse><storage_configuration>{storage}</storage_configuration>{quiet}</clickhouse>")
    url = f"chdb://{tmp_path}/store%3Fconfig-file={config}"
    migrate(url)
    with connect(url) as client:
        land_in(client, history())
        expected, landed = _numbers(client), _merged(client)
        assert all(expected)
        assert set(landed) == {"default"}
        # It ends on a day of its own, however long ago: 90 days after any of it are to be over, too.
        age = (datetime.now(UTC) - NOW).days
        for statement in _statements()[:4]:
            client.command(statement.replace("90", str(age - 20)))
        assert _merged(client) == {"cold": landed["default"]}
        assert _numbers(client) == expected
        for statement in _statements()[4:]:
            assert "400 DAY DELETE" in statement
            client.command(statement.replace("90", str(age - 20)).replace("400", str(age + KEPT_DAYS)))
        assert 0 < _merged(client)["cold"] < landed["default"]
        assert _numbers(client) == expected
        assert verify(client, None, CheckScope(since=NOW - timedelta(hours=6), settled_s=0)).findings == []
    assert migrate(url) == []
