"""`keeprate verify`: does the store hold what Kafka held, and do outcomes and windows say what the facts say?"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeprate.deploy.commands.report import read_moment
from keeprate.deploy.settings import from_environment
from keeprate.schemas.topics import JOIN_GROUP

if TYPE_CHECKING:
    from keeprate.sinks.verification import Report, Scope


def verify(
    store: Annotated[str | None, typer.Option(help="the store's URL (default: KEEPRATE_STORE_URL)")] = None,
    brokers: Annotated[str | None, typer.Option(help="bootstrap servers (default: KEEPRATE_BROKERS)")] = None,
    offline: Annotated[
        bool, typer.Option(help="do not ask Kafka: duplicates look like losses, lag like faults")
    ] = False,
    since: Annotated[str, typer.Option(help="only what occurred and was stored since: 90min, 24h, 7d, a date")] = "",
    settled_s: Annotated[int, typer.Option(help="leave out generations that got a fact so recently", min=0)] = 60,
    patience_s: Annotated[float, typer.Option(help="how long to wait for what is on its way", min=0)] = 30,
    join_group: Annotated[str, typer.Option(help="the workers' --group")] = JOIN_GROUP,
    repair: Annotated[bool, typer.Option(help="insert recomputed outcomes and windows")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print what was compared and found as JSON lines")] = False,
) -> None:
    """Check that records are accounted for, that nothing went back, and that facts, outcomes and windows agree.

    It may run while the pipeline works: what lags is waited for, and not judged if it does not come. Exits with 1 when
    something is found. Repairing is safe at any time: what is inserted merges with what is there.
    """
    from keeprate.sinks.clickhouse import StoreError
    from keeprate.sinks.kafka_errors import BrokerError
    from keeprate.sinks.verification import Scope

    defaults = from_environment()
    try:
        scope = Scope(read_moment("--since", since, datetime.now(UTC)) if since else None, None, settled_s, repair)
        kafka = None if offline else brokers or defaults.brokers
        report = _report(store or defaults.store_url, kafka, scope, join_group, patience_s)
    except (StoreError, BrokerError, ValueError) as error:
        raise SystemExit(f"keeprate verify: {error}") from None
    for line in _as_json(report) if as_json else _as_text(report, repair):
        typer.echo(line)
    if report.findings:
        raise typer.Exit(1)


def _report(store_url: str, brokers: str | None, scope: "Scope", join_group: str, patience_s: float) -> "Report":
    from keeprate.sinks.clickhouse import connect
    from keeprate.sinks.kafka_reader import Reader
    from keeprate.sinks.positions import KafkaPositions
    from keeprate.sinks.verification import Kafka, verify

    with ExitStack() as opened:
        client = opened.enter_context(connect(store_url))
        if brokers is None:
            return verify(client, None, scope)
        reader, positions = Reader(brokers), opened.enter_context(KafkaPositions(brokers))
        opened.callback(reader.close)
        return verify(client, Kafka(reader, positions, join_group, patience_s), scope)


def _as_json(report: "Report") -> Iterator[str]:
    for check, compared in (("I6", report.positions), ("I7", report.agreements)):
        for each in compared:
            yield json.dumps({"kind": "compared", "check": check, **asdict(each)}, default=str)
    for finding in report.findings:
        yield json.dumps({"kind": "finding", **asdict(finding)})
    names = ("ranges", "offsets", "outcomes", "windows")
    counts = {name: getattr(report, name) for name in names}
    yield json.dumps({"kind": "checked", **counts, "findings": len(report.findings)})


def _as_text(report: "Report", repair: bool) -> Iterator[str]:
    if report.positions:
        head = ("group", "topic", "partition", "last range", "committed", "end")
        yield from _table(head, [_position(each) for each in report.positions])
        yield ""
    if report.agreements:
        rows = [(x.partition, x.day, x.facts, x.missing, x.orphans, x.waiting) for x in report.agreements]
        yield from _table(("partition", "day", "generations", "no outcome", "no fact", "waiting"), rows)
        yield ""
    for finding in report.findings:
        yield f"{finding.check}  {finding.where}: {finding.detail}"
    repaired = "; recomputed outcomes and windows were inserted" if repair and report.findings else ""
    checked = f"{report.ranges} ranges, {report.offsets} offsets, {report.outcomes} outcomes, {report.windows} windows"
    yield f"{checked} checked, {len(report.findings)} findings{repaired}"


def _position(each: Any) -> tuple[object, ...]:
    last_range = "-" if each.range_end is None else f"{each.range_first}-{each.range_end - 1}"
    offsets = ("-" if offset is None else offset for offset in (each.committed, each.end))
    return each.group, each.topic, each.partition, last_range, *offsets


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> Iterator[str]:
    """Columns as wide as their widest cell."""
    cells = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
