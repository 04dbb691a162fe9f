"""Stores with three shards in databases of their own, beside one database with the rows of all: `sharded` in this
process, with two ways to read the three at once, and `apart` behind a server.

    one        all rows
    s1 s2 s3   each a shard's
    together   Merge tables over the three. A subquery there reads all shards, as GLOBAL has it over Distributed
    spread     Distributed tables over a cluster of three that nobody answers for: what is asked there is planned, and
               fails when it wants to connect. All tables are such, so a subquery without GLOBAL is found on any
    half       Distributed tables over a cluster of two: s1, which the engine takes for itself, and one that is down
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from keeprate.deploy.store import StoreProcess
from keeprate.schemas.events import Event
from keeprate.sinks.landing.shards import shard_of
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.store.topology import Topology, is_sharded
from keeprate.sinks.tables import placing
from keeprate.sinks.tables.migrate import apply, derive_anew, migrate, scripts
from tests.pages import land_in

NAMES: Final = ("s1", "s2", "s3")
NOBODY_ANSWERS: Final = 279
_OWN_PORT: Final = 9000
"""Nobody listens there: by it the engine knows that it is a shard itself."""


def _shard(port: int = 1) -> str:
    return f"<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>"


@dataclass(frozen=True)
class Sharded:
    """The clients, by what they are asked for. database: makes one more, empty, until the end."""

    database: Callable[[str], Client]
    one: Client
    shards: tuple[Client, ...]
    together: Client
    spread: Client
    half: Client


@dataclass(frozen=True)
class Apart:
    """Databases of a server. url, store: what reads the shards and has what is not divided. one: all rows."""

    url: str
    topology: Topology
    store: Client
    shards: tuple[Client, ...]
    one: Client

    def load(self, log: Iterable[Event]) -> None:
        """Facts, outcomes and suggestions of a log and nothing else, on the shards and in the one database."""
        events = list(log)
        for client in (self.store, *self.shards, self.one):
            for table in _EMPTIED:
                if client is not self.store or not is_sharded(table):
                    client.command(f"TRUNCATE TABLE {table}")
        land_in(self.one, events)
        for number, shard in enumerate(self.shards):
            land_in(shard, [event for event in events if shard_of(event["generation_id"], len(NAMES)) == number])


_EMPTIED: Final = (
    *("generations", "feedback", "outcomes", "suggestions", "moves", "dead_letters"),
    *("dead_letter_actions", "forgotten", "forget_receipts"),
)


@contextmanager
def apart(store: StoreProcess) -> Iterator[Apart]:
    """Made as `keeprate migrate` does, and read through Merge tables: the engine cannot speak to other servers."""
    name = f"apart_{uuid4().hex[:8]}"
    url, one_url = f"{store.url}/{name}", f"{store.url}/{name}_one"
    topology = Topology(shard_urls=tuple(f"{url}_{number + 1}" for number in range(len(NAMES))))
    migrate(url, topology=topology)
    migrate(one_url)
    with ExitStack() as opened:
        own, one, *shards = (opened.enter_context(connect(each)) for each in (url, one_url, *topology.shard_urls))
        merged(own, f"{name}_", one)
        yield Apart(url, topology, own, tuple(shards), one)


def on_shard(number: int, nth: int = 0) -> str:
    """A name of `tests.facts.Facts` whose generation is on this shard."""
    names = (f"name {each}" for each in count())
    found = (name for name in names if shard_of(str(uuid5(NAMESPACE_URL, name)), len(NAMES)) == number)
    return next(islice(found, nth, None))


@contextmanager
def sharded(log: Iterable[Event]) -> Iterator[Sharded]:
    """Facts, outcomes and suggestions of a log, in one database and on three shards; no hour is summed yet."""
    events = list(log)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as opened:
        config = Path(directory) / "config.xml"
        clusters = f"<apart>{_shard() * len(NAMES)}</apart><half>{_shard(_OWN_PORT)}{_shard()}</half>"
        servers = f"<tcp_port>{_OWN_PORT}</tcp_port><remote_servers>{clusters}</remote_servers>"
        config.write_text(f"<clickhouse>{servers}</clickhouse>")
        url = f"chdb://{directory}/store%3Fconfig-file={config}"
        base = opened.enter_context(connect(url, "default"))

        def database(name: str) -> Client:
            base.command(f"CREATE DATABASE {name}")
            return opened.enter_context(connect(url, name))

        one = _made(database("one"), events)
        shards = []
        for number, name in enumerate(NAMES):
            client = database(name)
            mine = [event for event in events if shard_of(event["generation_id"], len(NAMES)) == number]
            shards.append(_made(client, mine, number))
        together, spread, half = merged(database("together"), "s", one), database("spread"), database("half")
        for table in tables(one):
            for client, cluster in ((spread, "apart"), (half, "half")):
                made_so = Topology(cluster, shard_urls=NAMES).distributed(table, "s1").replace("OR REPLACE ", "")
                client.command(made_so)
        yield Sharded(database, one, tuple(shards), together, spread, half)


def merged(client: Client, prefix: str, like: Client) -> Client:
    """A database whose tables are those of `prefix`1, `prefix`2, … at once, but for those that it has itself."""
    there = tables(client)
    for table in (table for table in tables(like) if table not in there):
        client.command(
            f"CREATE TABLE {table} AS {prefix}1.{table} ENGINE = Merge(REGEXP('^{prefix}[0-9]$'), '^{table}$')"
        )
    return client


def tables(client: Client) -> list[str]:
    """The names of a database's tables."""
    rows = client.query("SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name")
    return [str(name) for (name,) in rows]


def made(client: Client, number: int | None = None, shards: int = len(NAMES)) -> Client:
    """The client of a database that is made, as a shard where it has a number."""
    apply(client, scripts())
    if number is not None:
        placing.place(client, number, shards)
    derive_anew(Servers([client]))
    return client


def _made(client: Client, events: list[Event], number: int | None = None) -> Client:
    land_in(made(client, number), events)
    return client
