"""What the engine lets a request do: rights, settings that stay as they are, and limits, as the engine's own config.

The engine has ClickHouse's access control, so most of what must not happen is forbidden there: a right to files, URLs
and other servers is not granted. Settings that hold text can hold a path, an address or an expression that is evaluated
(`select`, `additional_result_filter`, `format_template_row`); they stay as they are unless they are named here, so that
one a new release brings is closed until it is looked at.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from chdb.state.sqlitelike import Connection

from keeprate.sinks.store.local_store import SETTINGS

_TEXT_TYPES: Final = ("String", "Map", "URI", "Dialect")
_FREE_TEXT_SETTINGS: Final = frozenset(
    {"bool_false_representation", "bool_true_representation", "chdb_client_name", "compatibility"}
    | {"count_distinct_implementation", "database", "default_format", "force_data_skipping_indices"}
    | {"force_optimize_projection_name", "format_csv_null_representation", "format_custom_field_delimiter"}
    | {"format_custom_result_after_delimiter", "format_custom_result_before_delimiter"}
    | {"format_custom_row_after_delimiter", "format_custom_row_before_delimiter"}
    | {"format_custom_row_between_delimiter", "format_regexp", "format_tsv_null_representation"}
    | {"ignore_data_skipping_indices", "insert_deduplication_token", "local_filesystem_read_method", "log_comment"}
    | {"output_format_avro_codec", "output_format_pretty_grid_charset", "output_format_sql_insert_table_name"}
    | {"preferred_optimize_projection_name", "query_cache_tag", "temporary_files_codec", "workload"}
)
"""Settings of text that a request may set: they name things of the engine, and are neither evaluated nor opened."""
_FIXED: Final = {
    "allow_experimental_eval_table_function": 0,
    "allow_introspection_functions": 0,
    "dynamic_disk_allow_from_env": 0,
    "dynamic_disk_allow_from_zk": 0,
    "dynamic_disk_allow_include": 0,
    "http_allow_database_as_path": 0,
    "http_allow_table_as_file": 0,
    # Data in the format Values could otherwise be expressions, which nobody has looked at.
    "input_format_values_deduce_templates_of_expressions": 0,
    "input_format_values_interpret_expressions": 0,
}
_ENGINE: Final = {
    # How often it asks how much memory the process has: by default ten times a second, whatever happens.
    "memory_worker_period_ms": 1000,
}
_GRANTS: Final = (
    "SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, DROP,"
    " UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, SYSTEM MERGES, SYSTEM VIEWS, dictGet ON *.*"
)
ENGINES: Final = frozenset(
    {"Aggregating", "Coalescing", "Collapsing", "Graphite", "", "Replacing", "Summing", "VersionedCollapsing"}
)
"""What stands before MergeTree in the names of the engines that the store has tables of."""
OTHER_ENGINES: Final = frozenset(
    {
        "Atomic",
        "Buffer",
        "Join",
        "Log",
        "MaterializedView",
        "Memory",
        "Merge",
        "Null",
        "Set",
        "StripeLog",
        "TinyLog",
        "View",
    }
)
_TABLE_FUNCTIONS: Final = frozenset(
    {"generateseries", "generate_series", "loop", "merge", "mergetreeanalyzeindexes", "mergetreeanalyzeindexesuuid"}
    | {"mergetreecodecblockcounts", "mergetreeindex", "mergetreeprojection", "mergetreetextindex", "null", "numbers"}
    | {"numbers_mt", "primes", "view", "zeros", "zeros_mt"}
)
"""Table functions that read nothing but the store and their own arguments. Those with a structure as text, `values`
among them, are not here: a DEFAULT or an ALIAS in it is evaluated."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take; a request may ask for less, never for more.

    query_s: seconds of the clock.
    memory_bytes: of one query, and of all together at most the machine's.
    """

    query_s: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Names:
    """What the engine has, in lower case: table functions that are refused, and functions that reach out."""

    table_functions: frozenset[str]
    functions: frozenset[str]


@contextmanager
def configured(limits: Limits) -> Iterator[tuple[Path, Names]]:
    """The path of a config file that gives the engine its rights and limits, and the names that are refused beside it.

    Starts an empty engine to ask for its settings and functions, so no other may be open in this process. The file is
    read when an engine is opened and may go afterwards.
    """
    blank = Connection(":memory:")
    try:
        closed = sorted(set(_column(blank, f"SELECT name FROM system.settings WHERE type IN {_TEXT_TYPES}")))
        offered = {name.lower() for name in _column(blank, "SELECT name FROM system.table_functions")}
        functions = _column(blank, "SELECT name FROM system.functions WHERE match(name, '^ai[A-Z]')")
    finally:
        blank.close()
    fixed = [name for name in closed if name not in _FREE_TEXT_SETTINGS]
    names = Names(
        frozenset(offered - _TABLE_FUNCTIONS | {"disk"}), frozenset({"file", *(name.lower() for name in functions)})
    )
    with tempfile.TemporaryDirectory(prefix="keeprate-store-") as directory:
        users, config = Path(directory) / "users.xml", Path(directory) / "config.xml"
        users.write_text(_users(limits, fixed))
        config.write_text(
            f"<clickhouse><users_config>{escape(str(users))}</users_config><remote_url_allow_hosts/>"
            f"<logger><level>fatal</level></logger>{_elements(_ENGINE)}</clickhouse>"
        )
        yield config, names


def _users(limits: Limits, fixed: Iterable[str]) -> str:
    bounded = {"max_execution_time": limits.query_s, "max_memory_usage": min(limits.memory_bytes, _memory_bytes())}
    values = _elements(bounded | SETTINGS | _FIXED)
    # Zero means no limit, so what may only fall may not fall to it.
    bounds = "".join(f"<{name}><min>1</min><max>{value}</max></{name}>" for name, value in bounded.items())
    constant = "".join(f"<{name}><readonly/></{name}>" for name in (*_FIXED, *fixed))
    return (
        f"<clickhouse><profiles><default>{values}<constraints>{bounds}{constant}</constraints></default></profiles>"
        "<users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile>"
        f"<quota>default</quota><grants><query>GRANT {_GRANTS}</query></grants></default></users>"
        "<quotas><default/></quotas></clickhouse>"
    )


def _elements(values: Mapping[str, int]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def _memory_bytes() -> int:
    """Of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _column(connection: Connection, statement: str) -> list[str]:
    answer: bytes = connection.query(statement, "TabSeparatedRaw").bytes()
    return answer.decode().split()
