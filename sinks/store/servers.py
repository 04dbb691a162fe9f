"""The servers that hold divided tables: one, or every shard's.

What is local to a shard is done to each of them; what makes or changes tables is said once for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.store.topology import ALONE, Topology


@dataclass(frozen=True)
class Servers:
    """clients: one for each shard, in order."""

    clients: Sequence[Client]
    topology: Topology = ALONE

    def define(self, statement: str, like: str = "") -> None:
        """Run a statement that makes, changes or drops tables, written for a single server.

        like: the table with which a new one is divided, where its own name does not tell.
        """
        # Where tables have copies, ON CLUSTER reaches all servers from any of them.
        for client in self.clients[:1] if self.topology.replicated else self.clients:
            client.command(self.topology.rendered(statement, like))

    def sync(self, table: str) -> None:
        """Return once every copy of a table has what any of them had at the call; at once where there are no copies."""
        if self.topology.replicated:
            ((database,),) = self.clients[0].query("SELECT currentDatabase()")
            self.clients[0].command(f"SYSTEM SYNC REPLICA ON CLUSTER `{self.topology.cluster}` `{database}`.{table}")
