"""How the store's servers share its rows, and what statements that make tables read like there. Pure.

    single       one server: statements as they stand
    replicated   every table has copies: its engine is the Replicated one, and a statement is run ON CLUSTER
    sharded      rows of a generation are in one shard's database; the store's own database reads them through
                 Distributed tables of the same names, and has the tables that are not divided itself

There is one source, the migrations, and they are written for a single server.
"""

import re
from dataclasses import dataclass
from typing import Final

_GENERATION: Final = "kafkaMurmurHash(toString(generation_id))"
SHARDED: Final = {
    "generations": _GENERATION,
    "feedback": _GENERATION,
    "outcomes": _GENERATION,
    "suggestions": _GENERATION,
    "moves": _GENERATION,
    "ledger": "partition",
    "dead_letters": "partition",
    "hour_marks": "",
    "shard_place": "",
}
"""Tables that are divided, with what places a row; nothing for those that every shard writes of its own rows."""
_SUMS: Final = re.compile(r"(summed|sums|checks)_[0-9a-f]{12}")
_BESIDE: Final = re.compile(r"suggestions_[0-9a-f]{8}")
_NAMED: Final = re.compile(
    r"(?:CREATE (?:TABLE|DATABASE) (?:IF NOT EXISTS )?|ALTER TABLE |DROP (?:TABLE|VIEW) (?:IF EXISTS )?)"
    r"(?P<name>`?\w+`?)"
)
_EXCHANGED: Final = re.compile(r"EXCHANGE TABLES `?(?P<name>\w+)`? AND `?\w+`?")
_ENGINE: Final = re.compile(r"\bENGINE = (?P<kind>\w*MergeTree)\b(?P<arguments>\([^)]*\))?")
_COPIED: Final = re.compile(r"Replicated(?P<kind>\w*MergeTree)\('[^']*', '[^']*'(?:, )?(?P<arguments>[^)]*)\)")
_WINDOW: Final = "non_replicated_deduplication_window = 10000"
# By default a copy forgets tokens after an hour, and a sink may be away for longer.
_REPLICATED_WINDOW: Final = "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000"
_WHOLE_PATH: Final = "'/clickhouse/tables/{uuid}/whole', '{shard}-{replica}'"


@dataclass(frozen=True)
class Topology:
    """cluster: its name in ClickHouse's `remote_servers`, '' for none. replicated: tables have copies, by Keeper.
    shard_urls: the shards' databases, in the cluster's order; none where rows are not divided.
    """

    cluster: str = ""
    replicated: bool = False
    shard_urls: tuple[str, ...] = ()

    def rendered(self, statement: str, like: str = "") -> str:
        """A statement of a single server, as these servers take it. like: the table with which a new one is divided."""
        named = _NAMED.match(statement) or _EXCHANGED.match(statement)
        if not self.replicated or named is None:
            return statement
        end = named.end()
        text = f"{statement[:end]} ON CLUSTER `{self.cluster}`{statement[end:]}"
        text = _ENGINE.sub(lambda engine: self._engine(engine, is_sharded(like or table_of(statement))), text, count=1)
        return text.replace(_WINDOW, _REPLICATED_WINDOW)

    def distributed(self, table: str, database: str) -> str:
        """The statement that makes the table through which a divided one is read."""
        on_cluster = f" ON CLUSTER `{self.cluster}`" if self.replicated else ""
        key = SHARDED.get(table, "")
        where = f"'{self.cluster}', '{database}', '{table}'" + (f", {key}" if key else "")
        return f"CREATE OR REPLACE TABLE {table}{on_cluster} AS `{database}`.{table} ENGINE = Distributed({where})"

    def _engine(self, engine: re.Match[str], divided: bool) -> str:
        arguments = (engine["arguments"] or "()")[1:-1]
        # Of a table that is not divided every server has the same rows, so they share one path.
        if self.shard_urls and not divided:
            arguments = f"{_WHOLE_PATH}, {arguments}" if arguments else _WHOLE_PATH
        return f"ENGINE = Replicated{engine['kind']}" + (f"({arguments})" if arguments else "")


ALONE: Final = Topology()
"""One server."""


def table_of(statement: str) -> str:
    """The table that a statement makes, changes or drops; '' for another statement."""
    named = _NAMED.match(statement) or _EXCHANGED.match(statement)
    return named["name"].strip("`") if named else ""


def has_copies(engine: str) -> bool:
    """Whether an engine, as a server says it, is of a table with copies."""
    return engine.startswith("Replicated")


def without_copies(engine: str) -> str:
    """An engine, as a server says it, without its path in Keeper: that is one table's, and no other may have it."""
    return _COPIED.sub(lambda said: said["kind"] + (f"({said['arguments']})" if said["arguments"] else ""), engine)


def is_sharded(table: str) -> bool:
    """Whether each shard has rows of its own in it."""
    return table in SHARDED or is_beside(table) or bool(_SUMS.fullmatch(table))


def is_beside(table: str) -> bool:
    """Whether it is what suggestions are built anew in, and soon gone."""
    return bool(_BESIDE.fullmatch(table))
