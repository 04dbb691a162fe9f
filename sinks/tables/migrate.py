"""Migrations: numbered SQL files, applied in order, forward only.

A file of `migrations/` is applied once and then never edited: its checksum is kept with its number. Every statement may
run twice (`IF NOT EXISTS`), so any number of processes may migrate at the same time, and a migration that was cut off
is simply run again.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from keeprate.sinks.reading import hours, rebuild
from keeprate.sinks.reading.rebuild import Rebuilt
from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError, connect, database_of
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.store.topology import ALONE, Topology, is_beside, is_sharded, table_of
from keeprate.sinks.tables import placing

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

    def for_(self, topology: Topology, wanted: Callable[[str], bool]) -> list[str]:
        """The statements that a database needs, as these servers take them."""
        return [topology.rendered(statement) for statement in self.statements if wanted(statement)]


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
            raise SchemaMismatchError(
                f"the store has migration {name}, which this version does not know: upgrade, or restore an older backup"
            )
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
    topology: Topology = ALONE,
) -> list[Script]:
    """Make the database and its shards' and bring them up to this version. Returns what was applied. Raises StoreError.

    on_page, on_rebuilt: see `derive_anew`.
    """
    done: dict[str, Script] = {}
    with ExitStack() as opened:
        parts = [opened.enter_context(_made(part, topology)) for part in topology.shard_urls or (url,)]
        for number, client in enumerate(parts):
            done |= {script.name: script for script in apply(client, scripts(), topology)}
            if topology.shard_urls:
                placing.place(client, number, len(parts))
        derive_anew(Servers(parts, topology), on_page, on_rebuilt)
        if topology.shard_urls:
            client = opened.enter_context(_made(url, topology))
            done |= {script.name: script for script in apply(client, scripts(), topology, _is_whole)}
            for statement in _reading(client, parts[0], topology):
                client.command(statement)
    return [done[name] for name in sorted(done)]


def _made(url: str, topology: Topology) -> Client:
    """A client of a database, which is made where there is none."""
    with connect(url, "default") as client:
        client.command(topology.rendered(f"CREATE DATABASE IF NOT EXISTS `{database_of(url)}`"))
    return connect(url)


def _is_whole(statement: str) -> bool:
    return not is_sharded(table_of(statement))


def _reading(store: Client, shard: Client, topology: Topology) -> list[str]:
    """The statements that make the store's tables over its shards' anew. Raises SchemaMismatchError where one of them
    holds rows itself, which would be gone.
    """
    if not topology.cluster:
        return []
    query = "SELECT name, engine FROM system.tables WHERE database = currentDatabase()"
    engines = {str(name): str(engine) for name, engine in store.query(query)}
    divided = [str(name) for (name,) in shard.query(_TABLES) if is_sharded(str(name)) and not is_beside(str(name))]
    for table in divided:
        if engines.get(table, "Distributed") != "Distributed":
            raise SchemaMismatchError(
                f"{table} holds rows here, and shards are to have them: docs/operations.md, Resharding, says how to "
                "divide them"
            )
    database = database_of(topology.shard_urls[0])
    return [topology.distributed(table, database) for table in divided]


_TABLES: Final = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"


@dataclass(frozen=True)
class Plan:
    """What `migrate` would do at one database: make it, run the statements of these scripts, derive all suggestions
    anew, and make the tables through which shards are read.
    """

    database: str
    makes_database: bool
    scripts: list[Script]
    derives_anew: bool


def plan(url: str, topology: Topology = ALONE) -> list[Plan]:
    """What `migrate` would do, database by database, without doing it. Raises StoreError."""
    plans = [_plan(part, topology, lambda statement: True) for part in topology.shard_urls]
    return [*plans, _plan(url, topology, _is_whole if topology.shard_urls else lambda statement: True)]


def _plan(url: str, topology: Topology, wanted: Callable[[str], bool]) -> Plan:
    def of(known: Sequence[Script]) -> list[Script]:
        return [Script(script.name, ";\n".join(script.for_(topology, wanted))) for script in known]

    with connect(url, "default") as client:
        named = {"database": (database := database_of(url))}
        if not client.query("SELECT 1 FROM system.databases WHERE name = {database:String}", named):
            return Plan(database, True, of(scripts()), False)
        versions = "SELECT 1 FROM system.tables WHERE database = {database:String} AND name = 'schema_versions'"
        if not client.query(versions, named):
            return Plan(database, False, of(scripts()), False)
    with connect(url) as client:
        there = applied(client)
        changed = wanted("CREATE TABLE outcomes") and there.get(_DEFINITION) != rebuild.checksum()
        derives = changed and bool(client.query("SELECT 1 FROM outcomes LIMIT 1"))
        return Plan(database, False, of(pending(scripts(), there)), derives)


def apply(
    client: Client,
    known: Sequence[Script],
    topology: Topology = ALONE,
    wanted: Callable[[str], bool] = lambda statement: True,
) -> list[Script]:
    """Apply what is pending of `known` in the client's database. Returns what was applied.

    wanted: which statements this database needs.
    """
    client.command(topology.rendered(_VERSIONS.strip()))
    there = applied(client)
    todo = pending(known, there)
    _retire_views(client, there)
    for script in todo:
        for statement in script.for_(topology, wanted):
            client.command(statement)
        if there:
            _note(client, (_MIGRATION, script.name, script.checksum))
    if not there:
        # Of a database that is made, nothing takes long: all at once, or all again.
        _note(client, *((_MIGRATION, script.name, script.checksum) for script in todo))
    return todo


def derive_anew(
    servers: Servers,
    on_page: Callable[[int], None] = lambda rows: None,
    on_rebuilt: Callable[[Rebuilt], None] = lambda rebuilt: None,
) -> None:
    """Make the tables of sums, and all suggestions where they were derived by another definition.

    on_page: is told how many outcomes another page had. on_rebuilt: is told what changed.
    """
    hours.create(servers)
    checksum = rebuild.checksum()
    if any(applied(client).get(_DEFINITION) != checksum for client in servers.clients):
        if any(client.query("SELECT 1 FROM outcomes LIMIT 1") for client in servers.clients):
            on_rebuilt(rebuild.rebuild(servers, on_page))
        for client in servers.clients:
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
