"""`keeprate monitor`: /metrics for Prometheus."""

from typing import Annotated

import typer

from keeprate.deploy import settings
from keeprate.deploy.commands import logs
from keeprate.schemas.topics import JOIN_GROUP, SINK_GROUP


def monitor(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = settings.HOST,
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65_535)] = settings.MONITOR_PORT,
    every: Annotated[float, typer.Option(help="Seconds between two reads of the store and of Kafka.", min=0.5)] = 10,
    verify_every: Annotated[
        float, typer.Option(help="Seconds between two verifications of the last hours; 0 turns them off.", min=0)
    ] = 600,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
    brokers: Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")] = "",
    join_group: Annotated[str, typer.Option(help="The workers' --group: its lag counts, and is watched.")] = JOIN_GROUP,
    sink_group: Annotated[
        list[str] | None, typer.Option(help="A sink's --group, likewise. Repeatable.", show_default=SINK_GROUP)
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="Print where the rules for Prometheus lie, and end.")] = False,
    dashboards: Annotated[
        bool, typer.Option("--dashboards", help="Print where the dashboards for Grafana lie, and end.")
    ] = False,
) -> None:
    """Serve what users keep as metrics for Prometheus, under /metrics.

    It counts only what can change no more, so counters lag some minutes behind and never go back. One monitor is
    enough; a second one counts the same. What each metric means: docs/observability.md.
    """
    # Loaded here, so that `keeprate --help` needs neither Kafka's nor ClickHouse's driver.
    from keeprate.deploy.grafana import folder
    from keeprate.deploy.monitor import configuration
    from keeprate.deploy.monitor.serving import Groups, PortTakenError, SourceLostError, serve

    if rules or dashboards:
        typer.echo(configuration() if rules else folder())
        return
    logs.start()
    env = settings.from_environment(brokers, store)
    url = f"http://{host}:{port}/metrics"
    try:
        urls = env.store_url, env.brokers
        groups = Groups(join_group, tuple(sink_group or (SINK_GROUP,)))
        shards = env.topology.shard_urls
        serve(host, port, every, *urls, lambda: typer.echo(url, err=True), verify_every, groups, shards)
    except PortTakenError as error:
        typer.echo(f"keeprate monitor: {error}: choose another with --port", err=True)
        raise typer.Exit(1) from None
    except SourceLostError as error:
        typer.echo(f"keeprate monitor: {error}", err=True)
        raise typer.Exit(1) from None
