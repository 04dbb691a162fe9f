"""Which shard a database is: noted when it is made, and asked before anything lands there.

The order and number of shards decide where a generation's rows are. A sink with another list would put rows of one
suggestion on two shards, where they never merge, and nobody would be told.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError, StoreError, connect, shown
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.store.topology import Topology


@contextmanager
def servers(store: Client, topology: Topology, answer_timeout_s: int = 60) -> Iterator[Servers]:
    """The servers that hold the rows that are read through `store`: itself, or its shards, all of which answer.

    Raises SchemaMismatchError where the store's tables or the shards say that rows are elsewhere, and StoreError.
    """
    _check_engine(store, bool(topology.shard_urls))
    with ExitStack() as opened:
        clients = []
        for number, url in enumerate(topology.shard_urls):
            try:
                clients.append(opened.enter_context(connect(url, answer_timeout_s=answer_timeout_s)))
                check_place(clients[-1], number, len(topology.shard_urls))
            except StoreError as error:
                where = f"shard {number + 1} of {len(topology.shard_urls)}, {shown(url)}"
                raise type(error)(f"{where}: {error}", error.code, error.name) from error
        yield Servers(clients or [store], topology)


def _check_engine(store: Client, is_divided: bool) -> None:
    query = "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'outcomes'"
    engine = "".join(str(name) for (name,) in store.query(query))
    if is_divided and (not engine or engine.endswith("MergeTree")):
        raise SchemaMismatchError(
            "KEEPRATE_STORE_SHARDS names shards, and this is no database that reads them: give the store's own, as "
            "keeprate migrate made it"
        )
    if not is_divided and engine and not engine.endswith("MergeTree"):
        raise SchemaMismatchError("the rows of this store are on shards: name them in KEEPRATE_STORE_SHARDS")


def place(client: Client, number: int, shards: int) -> None:
    """Note that this database is shard `number`, from 0, of so many. Raises SchemaMismatchError where it is another,
    or holds rows that were landed before there were shards.
    """
    if _places(client):
        check_place(client, number, shards)
        return
    # More than one row is refused by nobody: two processes that migrate at once note the same.
    if client.query("SELECT 1 FROM ledger LIMIT 1"):
        raise SchemaMismatchError(
            f"shard {number + 1} holds rows that were landed when it was no shard: docs/operations.md, Resharding, "
            "says how to divide them"
        )
    client.insert("shard_place", ("number", "shards"), [(number, shards)])


def check_place(client: Client, number: int, shards: int) -> None:
    """Raise SchemaMismatchError unless this database was made as this shard."""
    places = _places(client)
    if places != {(number, shards)}:
        known = ", ".join(f"{at + 1} of {of}" for at, of in sorted(places)) or "no shard"
        raise SchemaMismatchError(
            f"KEEPRATE_STORE_SHARDS names it as shard {number + 1} of {shards}, and it was made as {known}: list the "
            "shards in the order in which keeprate migrate first saw them; docs/operations.md says how to add one"
        )


def _places(client: Client) -> set[tuple[int, int]]:
    return {(int(number), int(shards)) for number, shards in client.query("SELECT number, shards FROM shard_place")}
