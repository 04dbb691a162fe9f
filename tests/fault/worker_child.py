"""`keeprate worker` as a child of the nest, on topics of its trial's own."""

import sys
from typing import Any

import keeprate.deploy.commands.run.worker
import keeprate.deploy.commands.tree
import keeprate.streams.worker
from keeprate.deploy import cli
from tests.fault.own_topics import rename_topics

# They are here to be imported before a child is forked.
_ = keeprate.deploy.commands.tree, keeprate.deploy.commands.run.worker, keeprate.streams.worker


def main(options: dict[str, Any]) -> None:
    """Run the command as the options say."""
    rename_topics(options["prefix"])
    sys.argv = ["keeprate", "worker", *options["arguments"]]
    cli.main()
