"""A trial whose store has three shards, each a store of its own, and what their rows must come to.

What a fault does to the store, it does to one of the three, which the seed chooses; the others are reached as they are.
At the end the same topics are landed once more, by a sink that nothing happens to, in one database: the rows of all
shards together must be the rows of that one, and each must be on the shard that its id says.
"""

import random
from contextlib import ExitStack
from typing import Any, Final

from confluent_kafka import Producer

from keeprate.deploy.local.process import ChildProcess
from keeprate.schemas.lift import lift
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import OUTCOMES, PARTITIONER
from keeprate.sinks.checks.places import check_places
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.store.topology import Topology
from keeprate.sinks.tables.migrate import migrate
from tests.fault.lab import Lab, make_database, stop_merges
from tests.fault.trial import Together, Trial
from tests.landing import Account, account
from tests.offsets import Offsets
from tests.streaming import story

SHARDS: Final = 3
# What a sink reads again into another database is refused again, and its letter written again.
_ROWS: Final = {
    "generations": "SELECT topic, partition, offset, event FROM generations {final}",
    "feedback": "SELECT topic, partition, offset, event FROM feedback {final}",
    "outcomes": "SELECT * FROM outcomes FINAL",
    "suggestions": "SELECT * EXCEPT derived_at FROM suggestions FINAL",
    "dead_letters": "SELECT topic, partition, offset, stage, error_type, field, reason, app, key, value "
    "FROM dead_letters FINAL",
}


class ShardedTrial(Trial):
    """A trial with three shards. at: the one that the fault meets."""

    partitions = 2 * SHARDS

    def __init__(self, lab: Lab, seed: int, together: Together | None = None) -> None:
        self.doors = lab.doors()
        self.at = random.Random(seed).randrange(SHARDS)
        super().__init__(lab, seed, together)
        self.front.target_port = self.doors[self.at].port
        self._outcomes = Producer(
            {"bootstrap.servers": lab.broker.bootstrap, "partitioner": PARTITIONER, "acks": "all", "log_level": 0}
        )

    @property
    def topics(self) -> tuple[str, ...]:
        return *super().topics, f"{self.name}.{OUTCOMES.name}"

    @property
    def home_url(self) -> str:
        """The database of what is not divided."""
        return f"{self.lab.store.url}/{self.database}_home"

    @property
    def store_url(self) -> str:
        """The database of the shard that the fault meets."""
        return f"{(self.store or self.doors[self.at]).url}/{self.database}"

    @property
    def shard_urls(self) -> list[str]:
        """All of them, reached without a fault on the way."""
        urls = [f"{door.url}/{self.database}" for door in self.doors]
        urls[self.at] = self.store_url
        return urls

    def make_topics(self, configs: dict[str, dict[str, str]]) -> None:
        """With one for outcomes beside those of every trial."""
        super().make_topics({**configs, self.topics[-1]: OUTCOMES.config} if len(configs) > 1 else configs)

    def make_databases(self) -> None:
        """The shards', and the one of what is not divided."""
        migrate(self.home_url, topology=Topology(shard_urls=tuple(self.shard_urls)))
        for url in self.shard_urls:
            stop_merges(url)

    def load(self, count: int) -> None:
        """Records of events, and beside them outcomes in parts, as a join sends them."""
        super().load(count)
        for event in story(self.rng, self.rng.choice(["editor", "chat"]), count // 20):
            for key, outcome in lift(event):
                self._outcomes.produce(self.topics[-1], encode_outcome(key, outcome), event["generation_id"])
        assert self._outcomes.flush(60) == 0

    def sink(self, at: tuple[int, int, str] | None = None, instance: str = "", **more: Any) -> ChildProcess:
        """A sink of this trial's group, which reaches one shard through the front."""
        urls = self.shard_urls
        urls[self.at] = self.way_to_store
        return super().sink(at, instance, **{"store_url": self.home_url, "shard_urls": urls, "outcomes": True, **more})

    def account(self) -> Account:
        """End the sinks and account for every record, over all shards; and see that they are one node's."""
        self.end()
        bootstrap = self.lab.broker.bootstrap
        found = account(
            self.shard_urls, bootstrap, self.group, self.topics[::2], self.merged, self.since_ms, self.partitions
        )
        # Outcomes are rows without an offset: their ledger is looked at, and their rows below.
        outcomes = self.topics[-1]
        found.lost = [where for where in found.lost if where[0] != outcomes]
        with ExitStack() as opened:
            shards = [opened.enter_context(connect(url)) for url in self.shard_urls]
            one = opened.enter_context(connect(self._land_in_one()))
            found.unaccounted += [f"{one.where}: {one.detail}" for one in check_places(Servers(shards))]
            for table, query in _ROWS.items():
                found.unaccounted += _differing(table, query.format(final="FINAL" * self.merged), shards, one)
        return found

    def _land_in_one(self) -> str:
        """The topics once more, by another group, in one database."""
        url, group = f"{self.lab.store.url}/{self.database}_one", f"{self.group}-one"
        make_database(url)
        child = self.sink(store_url=url, shard_urls=(), group=group)
        with Offsets(self.lab.broker.bootstrap, group, self.topics, self.partitions) as offsets:
            self.wait(offsets.reached)
        child.terminate(15)
        return url

    def intents(self, ending: str) -> list[str]:
        """They say of how many shards they are."""
        return super().intents(f"{ending}.{SHARDS}")

    def close(self) -> None:
        """End everything, and drop what is on the shards."""
        self.end()
        names = [f"{self.database}{suffix}" for suffix in ("", "_home", "_one")]
        for door in self.doors:
            self.drop_databases(door, *names)
        super().close()


def _differing(table: str, query: str, shards: list[Client], one: Client) -> list[str]:
    """What a table has on the shards together, and not in the one database, or the other way round."""
    rows = sorted(line for shard in shards for line in shard.query_bytes(query).splitlines())
    expected = sorted(one.query_bytes(query).splitlines())
    if table != "dead_letters" and not expected:
        return [f"{table}: nothing was compared"]
    return [] if rows == expected else [f"{table}: {len(rows)} rows on the shards are not the {len(expected)} of one"]
