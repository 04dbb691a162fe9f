"""Is every row on the shard that its key says (I4)? What lies elsewhere never merges with the rest of its generation.

A sink with another list of shards would bring it there, or a copy by hand. It is told and not repaired: which rows are
the whole ones, `verify` sees once they are together.
"""

from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.store.topology import SHARDED


def check_places(servers: Servers) -> list[Finding]:
    """Every table of every shard that has rows of others; none where there is one server."""
    shards, findings = len(servers.clients), []
    for number, client in enumerate(servers.clients if shards > 1 else ()):
        for table, key in SHARDED.items():
            if key:
                home = f"SELECT toUInt16({key} % {shards}) AS home, count() FROM {table} WHERE home != {number}"
                for other, rows in client.query(f"{home} GROUP BY home ORDER BY home"):
                    detail = f"{rows} rows belong on shard {other + 1}: docs/operations.md, Resharding, divides rows"
                    findings.append(Finding("I4", f"shard {number + 1}, {table}", detail))
    return findings
