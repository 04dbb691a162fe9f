"""`keeprate topics`: the topics of Kafka that the rest reads and writes."""

import json
from dataclasses import asdict
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
    replication: Annotated[int, typer.Option(help="Copies of each partition; default: 1.", min=0)] = 0,
    min_insync_replicas: Annotated[
        int,
        typer.Option(help="Copies that must have a record before it counts as written; default: all but one.", min=0),
    ] = 0,
    brokers: Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")] = "",
    configure: Annotated[
        bool, typer.Option("--configure", help="Set what differs in the settings of topics that exist.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Create the topics that are missing, and check those that exist.

    They must agree in their partition count. A setting that differs from Keeprate's is shown and left: it may be yours,
    as a shorter retention is, or come from a broker that made the topic by itself, or from before an upgrade.
    """
    from keeprate.deploy import topics as kafka

    env = from_environment(brokers)
    where, made = env.brokers, env.topics
    try:
        done = kafka.create_topics(
            where,
            partitions or made.partitions,
            replication or made.replication,
            min_insync_replicas or made.min_insync_replicas,
        )
        differing = kafka.differences(where)
        if configure:
            kafka.configure(where, differing)
    except kafka.TopicsError as error:
        typer.echo(f"keeprate topics create: {error}", err=True)
        raise typer.Exit(1) from None
    created, existing = [topic.name for topic in done.missing], [topic.name for topic in done.existing]
    if as_json:
        account = {"created": created, "existing": existing, "partitions": done.partitions}
        differs = [asdict(each) for each in differing]
        typer.echo(json.dumps({**account, "differs": differs, "configured": configure}))
        return
    for name in created:
        typer.echo(f"created {name}, {done.partitions} partitions")
    for name in existing:
        typer.echo(f"exists  {name}, {done.partitions} partitions")
    for each in differing:
        found, wanted = each.found or "nothing", each.wanted
        said = f"{wanted}, was {found}" if configure else f"{found}, Keeprate's is {wanted}"
        typer.echo(f"{'set    ' if configure else 'differs'} {each.topic}, {each.setting}: {said}")
    if differing and not configure:
        typer.echo("keeprate topics create --configure sets them")
