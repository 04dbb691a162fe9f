"""`keeprate topics`: the topics of Kafka that the rest reads and writes."""

import json
from typing import Annotated

import typer

from keeprate.deploy.settings import from_environment

topics = typer.Typer(help="The topics of Kafka.", no_args_is_help=True)


@topics.callback()
def _topics() -> None:
    """The topics of Kafka that the rest reads and writes."""


@topics.command()
def create(
    partitions: Annotated[
        int, typer.Option(help="For every topic, fixed for life; default: that of existing topics, else 4.", min=0)
    ] = 0,
    replication: Annotated[int, typer.Option(help="Copies of each partition.", min=1)] = 1,
    brokers: Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Create the topics that are missing, and check that those that exist agree in their partition count."""
    from keeprate.deploy.topics import TopicsError, create_topics

    try:
        done = create_topics(brokers or from_environment().brokers, partitions or None, replication)
    except TopicsError as error:
        typer.echo(f"keeprate topics create: {error}", err=True)
        raise typer.Exit(1) from None
    created, existing = [topic.name for topic in done.missing], [topic.name for topic in done.existing]
    if as_json:
        typer.echo(json.dumps({"created": created, "existing": existing, "partitions": done.partitions}))
        return
    for name in created:
        typer.echo(f"created {name}, {done.partitions} partitions")
    for name in existing:
        typer.echo(f"exists  {name}, {done.partitions} partitions")
