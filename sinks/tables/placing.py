"""Which shard a database is: noted when it is made, and asked before anything lands there.

The order and number of shards decide where a generation's rows are. A sink with another list would put rows of one
suggestion on two shards, where they never merge, and nobody would be told.
"""

from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError


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
