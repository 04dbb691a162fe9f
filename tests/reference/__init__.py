"""Another reading of METRICS, slow and plain: views that count straight from merged outcomes.

What `sinks/reading` answers from flat rows and sums of hours must be what these say of the same events.
"""

from pathlib import Path
from typing import Any, Final

from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client

_VIEWS: Final = sorted(Path(__file__).parent.glob("*.sql"))
_COMMON: Final = (
    "by={by:Array(String)}, only=mapFromArrays({only_names:Array(String)}, {only_values:Array(Array(String))}), "
    "since=fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'), until=fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC'), "
    "bucket_s={bucket_s:UInt32}"
)
_AS_OF: Final = "as_of=fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')"
_SETTLED: Final = f"{_COMMON}, {_AS_OF}, settle_s={{settle_s:UInt32}}"
_MATURED: Final = f"{_COMMON}, {_AS_OF}, grace_s={{grace_s:UInt32}}, horizons={{horizons:Array(UInt64)}}"
_ARGUMENTS: Final = {
    "funnel": _SETTLED,
    "rates": _SETTLED,
    "user_rates": _SETTLED,
    "retention": _MATURED,
    "retention_rates": _MATURED,
    "feedback_rates": _COMMON,
    "judge_rates": _COMMON,
}


def create(client: Client) -> None:
    """Make the views."""
    for path in _VIEWS:
        client.command(path.read_text())


def hold(client: Client) -> None:
    """Unpack the outcomes as they are now, for all questions until the next call.

    Each view reads them, up to three times, and to understand how is a quarter of what a question costs.
    """
    client.command("DROP TABLE IF EXISTS reference_suggestions")
    client.command("CREATE TABLE reference_suggestions ENGINE = Memory AS SELECT * FROM reference_unpacked")


def ask(client: Client, view: str, scope: Scope) -> list[dict[str, Any]]:
    """Every row of a view about a scope."""
    parameters = {
        "by": list(scope.by),
        "only_names": list(scope.only),
        "only_values": [list(values) for values in scope.only.values()],
        "since_ms": scope.since_ms,
        "until_ms": scope.until_ms,
        "as_of_ms": scope.as_of_ms,
        "bucket_s": scope.bucket_s,
        "settle_s": scope.settle_s,
        "grace_s": scope.grace_s,
        "horizons": list(scope.horizons),
    }
    return client.query_dicts(f"SELECT * FROM reference_{view}({_ARGUMENTS[view]})", parameters)
