"""The processes of a trial, as children of its nest: any `keeprate` command, and `verify` for groups of its own.

**Invariant:** `renamed` was imported before.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

import keeprate.deploy.commands.run.collector
import keeprate.deploy.commands.run.sink
import keeprate.deploy.commands.run.worker
import keeprate.deploy.commands.tree
import keeprate.producers.collector.server
import keeprate.sinks.landing.run
import keeprate.streams.worker
from keeprate.deploy import cli
from keeprate.sinks.checks.verification import CheckScope, Kafka, verify
from keeprate.sinks.kafka.positions import KafkaPositions
from keeprate.sinks.kafka.reader import Reader
from keeprate.sinks.store.clickhouse import connect
from tests.fault.content.broken import SABOTAGE

# They are here to be imported before a child is forked.
_ = (
    keeprate.deploy.commands.tree,
    keeprate.deploy.commands.run.collector,
    keeprate.deploy.commands.run.sink,
    keeprate.deploy.commands.run.worker,
    keeprate.producers.collector.server,
    keeprate.sinks.landing.run,
    keeprate.streams.worker,
)


def main(options: dict[str, Any]) -> None:
    """Run a command, or `verify`, which knows no other group of workers than the default one."""
    for name in options["sabotage"]:
        SABOTAGE[name]()
    if options["command"] == "verify":
        _verify(options["brokers"], options["store_url"], options["join_group"])
    else:
        sys.argv = ["keeprate", options["command"], *options["arguments"]]
        cli.main()


def _verify(brokers: str, store_url: str, join_group: str) -> None:
    """Print what it finds, as one line of JSON."""
    reader = Reader(brokers)
    with connect(store_url) as client, KafkaPositions(brokers) as positions:
        kafka = Kafka(reader, positions, patience_s=30.0, join_group=join_group)
        report = verify(client, kafka, CheckScope(None, None, 0, False))
    reader.close()
    print(json.dumps([asdict(each) for each in report.findings]))  # noqa: T201 - the log is where it is read
