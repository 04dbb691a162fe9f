"""`keeprate verify`: does the store hold what Kafka held, and do the outcomes say what the facts say?"""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from keeprate.deploy.settings import from_environment


def verify(
    store: Annotated[str | None, typer.Option(help="the store's URL (default: KEEPRATE_STORE_URL)")] = None,
    brokers: Annotated[str | None, typer.Option(help="bootstrap servers (default: KEEPRATE_BROKERS)")] = None,
    offline: Annotated[bool, typer.Option(help="do not look at Kafka's records: duplicates look like losses")] = False,
    settled_s: Annotated[int, typer.Option(help="leave out generations that got a fact so recently", min=0)] = 60,
    repair: Annotated[bool, typer.Option(help="insert recomputed outcomes where stored ones lack something")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print findings as JSON, a line for each")] = False,
) -> None:
    """Check that every record is accounted for, that the ledger tiles, and that outcomes are the fold of their facts.

    Run it when the pipeline is quiet or nearly so. Exits with 1 when something is found. Repairing is safe at any
    time: what is inserted merges with what is there.
    """
    from keeprate.sinks.clickhouse import StoreError, connect
    from keeprate.sinks.kafka import Reader
    from keeprate.sinks.kafka_errors import BrokerError
    from keeprate.sinks.verify import check_accounting, check_ledger, check_outcomes

    defaults = from_environment()
    try:
        with connect(store or defaults.store_url) as client:
            reader = None if offline else Reader(brokers or defaults.brokers)
            findings = check_ledger(client) + check_accounting(client, reader)
            checked, differing = check_outcomes(client, settled_s, repair)
    except (StoreError, BrokerError, ValueError) as error:
        raise SystemExit(f"keeprate verify: {error}") from None
    for finding in [*findings, *differing]:
        typer.echo(json.dumps(asdict(finding)) if as_json else f"{finding.check}  {finding.where}: {finding.detail}")
    if not as_json:
        repaired = "; recomputed outcomes were inserted" if repair and differing else ""
        typer.echo(f"{checked} outcomes checked, {len(findings) + len(differing)} findings{repaired}")
    if findings or differing:
        raise typer.Exit(1)
