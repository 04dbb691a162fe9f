"""Migrations: numbered SQL files, applied in order, forward only.

A file of `migrations/` is applied once and then never edited: its checksum is kept with its number. Every statement may
run twice (`IF NOT EXISTS`), so any number of processes may migrate at the same time, and a migration that was cut off
is simply run again.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from keeprate.sinks.reading import hours, rebuild
from keeprate.sinks.reading.rebuild import Rebuilt
from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError, connect, database_of

_VERSIONS: Final = """
CREATE TABLE IF NOT EXISTS schema_versions (
  kind Enum8('migration' = 1, 'view' = 2),
  name String,
  checksum String,
  applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY (kind, name)
"""
_MIGRATION: Final = "migration"
_DEFINITION: Final = ("view", "suggestions_definition")
"""Under this name the store keeps by which definition its suggestions were derived."""
_NUMBERED: Final = re.compile(r"\d{4}_[a-z0-9_]+")
_STATEMENT_END: Final = re.compile(r";[ \t]*(?:\n|\Z)")
_COMMENT_LINE: Final = re.compile(r"^[ \t]*--.*$", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One migration (`0001_facts`), with its statements."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the statements alone: a comment may be corrected later."""
        return hashlib.sha256("\n".join(self.statements).encode()).hexdigest()[:32]

    @property
    def statements(self) -> list[str]:
        """The statements, in order: each ends with a semicolon at the end of a line."""
        return [part.strip() for part in _STATEMENT_END.split(_COMMENT_LINE.sub("", self.text)) if part.strip()]


def scripts() -> list[Script]:
    """All that this version knows, in the order of application. Raises ValueError for a name without a number."""
    folder = files("keeprate.sinks.tables").joinpath("migrations")
    found = [each for each in folder.iterdir() if each.name.endswith(".sql")]
    read = [Script(each.name.removesuffix(".sql"), each.read_text("utf-8")) for each in found]
    read.sort(key=lambda script: script.name)
    for script in read:
        if not _NUMBERED.fullmatch(script.name):
            raise ValueError(f"{script.name}.sql: a migration is named NNNN_what_it_does.sql")
    return read


def pending(known: Sequence[Script], applied: dict[tuple[str, str], str]) -> list[Script]:
    """Which of `known` to apply, in order.

    applied: checksum by (kind, name). Raises SchemaMismatchError for a migration that was edited after it was applied,
    and for one that this version does not know: then the store belongs to a newer Keeprate.
    """
    names = {script.name for script in known}
    for kind, name in applied:
        if kind == _MIGRATION and name not in names:
            raise SchemaMismatchError(f"the store has migration {name}, which this version does not know: upgrade")
    todo = []
    for script in known:
        checksum = applied.get((_MIGRATION, script.name))
        if checksum is None:
            todo.append(script)
        elif checksum != script.checksum:
            raise SchemaMismatchError(
                f"migration {script.name} was edited after it was applied: restore it, add another"
            )
    return todo


def migrate(
    url: str,
    on_page: Callable[[int], None] = lambda rows: None,
    on_rebuilt: Callable[[Rebuilt], None] = lambda rebuilt: None,
) -> list[Script]:
    """Make the database and bring it up to this version. Returns what was applied. Raises StoreError.

    on_page, on_rebuilt: see `derive_anew`.
    """
    database = database_of(url)
    with connect(url, "default") as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS `{database}`")
    with connect(url) as client:
        done = apply(client, scripts())
        derive_anew(client, on_page, on_rebuilt)
        return done


@dataclass(frozen=True)
class Plan:
    """What `migrate` would do: make the database, run these scripts, derive all suggestions anew."""

    makes_database: bool
    scripts: list[Script]
    derives_anew: bool


def plan(url: str) -> Plan:
    """What `migrate` would do, without doing it. Raises StoreError."""
    with connect(url, "default") as client:
        named = {"database": database_of(url)}
        if not client.query("SELECT 1 FROM system.databases WHERE name = {database:String}", named):
            return Plan(True, scripts(), False)
        versions = "SELECT 1 FROM system.tables WHERE database = {database:String} AND name = 'schema_versions'"
        if not client.query(versions, named):
            return Plan(False, scripts(), False)
    with connect(url) as client:
        there = applied(client)
        changed = there.get(_DEFINITION) != rebuild.checksum()
        return Plan(False, pending(scripts(), there), changed and bool(client.query("SELECT 1 FROM outcomes LIMIT 1")))


def apply(client: Client, known: Sequence[Script]) -> list[Script]:
    """Apply what is pending of `known` in the client's database. Returns what was applied."""
    client.command(_VERSIONS)
    there = applied(client)
    todo = pending(known, there)
    _retire_views(client, there)
    for script in todo:
        for statement in script.statements:
            client.command(statement)
        if there:
            _note(client, (_MIGRATION, script.name, script.checksum))
    if not there:
        # Of a database that is made, nothing takes long: all at once, or all again.
        _note(client, *((_MIGRATION, script.name, script.checksum) for script in todo))
    return todo


def derive_anew(
    client: Client,
    on_page: Callable[[int], None] = lambda rows: None,
    on_rebuilt: Callable[[Rebuilt], None] = lambda rebuilt: None,
) -> None:
    """Make the tables of sums, and all suggestions where they were derived by another definition.

    on_page: is told how many outcomes another page had. on_rebuilt: is told what changed.
    """
    hours.create(client)
    if applied(client).get(_DEFINITION) != (checksum := rebuild.checksum()):
        if client.query("SELECT 1 FROM outcomes LIMIT 1"):
            on_rebuilt(rebuild.rebuild(client, on_page))
        _note(client, (*_DEFINITION, checksum))


def _retire_views(client: Client, there: dict[tuple[str, str], str]) -> None:
    """Drop the views that former versions had. A table may have the name of one now."""
    for (kind, name), checksum in there.items():
        if kind == "view" and checksum and (kind, name) != _DEFINITION:
            view = name.partition("_")[2]
            is_view = "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = {name:String} "
            if client.query(is_view + "AND engine = 'View'", {"name": view}):
                client.command(f"DROP VIEW IF EXISTS `{view}`")
            _note(client, (kind, name, ""))


def _note(client: Client, *versions: tuple[str, str, str]) -> None:
    client.insert("schema_versions", ("kind", "name", "checksum"), versions)


def applied(client: Client) -> dict[tuple[str, str], str]:
    """Checksum by (kind, name) of what the database has."""
    rows = client.query("SELECT kind, name, checksum FROM schema_versions FINAL")
    return {(str(kind), str(name)): str(checksum) for kind, name, checksum in rows}


def revision(known: Sequence[Script] | None = None) -> int:
    """The number of the newest migration: the revision of the tables that this version writes."""
    return max(int(script.name[:4]) for script in known or scripts())
