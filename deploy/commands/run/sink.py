"""`keeprate sink`: land what is in Kafka in the store."""

from typing import Annotated

import typer

from keeprate.deploy.commands import logs
from keeprate.deploy.settings import from_environment
from keeprate.schemas.topics import SINK_GROUP


def sink(
    brokers: Annotated[str | None, typer.Option(help="bootstrap servers (default: KEEPRATE_BROKERS)")] = None,
    store: Annotated[str | None, typer.Option(help="the store's URL (default: KEEPRATE_STORE_URL)")] = None,
    group: Annotated[str, typer.Option(help="sinks of one group share the partitions")] = SINK_GROUP,
    instance: Annotated[
        str | None, typer.Option(help="a name that no other sink has: under it, a restart gets its partitions at once")
    ] = None,
    linger_s: Annotated[
        float, typer.Option(help="how long a record waits at most for others to land with", min=0.05)
    ] = 1.0,
    skip_lost: Annotated[
        bool, typer.Option(help="go on after records that retention removed unread; the ledger has them as absent")
    ] = False,
    metrics_port: Annotated[int | None, typer.Option(help="serve /metrics there")] = None,
    metrics_host: Annotated[str, typer.Option(help="and at this address; it has no login")] = "127.0.0.1",
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")] = "INFO",
) -> None:
    """Land events, outcomes and dead letters in the store, until Ctrl-C or SIGTERM.

    Every record becomes a row, a dead letter or a counted tombstone, once, whatever is killed or away meanwhile. Start
    more of them to share the work. While the store is away the sink waits and loses nothing.
    """
    from keeprate.sinks.kafka.errors import BrokerError
    from keeprate.sinks.landing.partition import FlushPolicy
    from keeprate.sinks.landing.run import SinkSettings, run
    from keeprate.sinks.landing.sink import SinkPolicy
    from keeprate.sinks.store.clickhouse import StoreError

    defaults = from_environment(brokers, store)
    logs.start(log_level)
    try:
        run(
            SinkSettings(
                brokers=defaults.brokers,
                store_url=defaults.store_url,
                topology=defaults.topology,
                group=group,
                policy=SinkPolicy(FlushPolicy(linger_s=linger_s), skip_lost=skip_lost),
                metrics_port=metrics_port,
                metrics_host=metrics_host,
                kafka={"group.instance.id": instance} if instance else {},
            )
        )
    except (StoreError, BrokerError, ValueError) as error:
        raise SystemExit(f"keeprate sink: {error}") from None
