"""`keeprate verify`: does the store hold what Kafka held, and do outcomes say what the facts say?"""

import json
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from keeprate.deploy.commands.read.report import read_moment
from keeprate.deploy.settings import from_environment
from keeprate.deploy.terminal import printable
from keeprate.schemas.topics import JOIN_GROUP

if TYPE_CHECKING:
    from keeprate.sinks.checks.agreement import Agreement
    from keeprate.sinks.checks.verification import Kafka, OnStage, VerifyReport

_WIDTH: Final = 80
_SHOWN: Final = 5
_TELL_EVERY_S: Final = 10.0


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
    repair: Annotated[bool, typer.Option(help="insert recomputed outcomes")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print what was compared and found as JSON lines")] = False,
) -> None:
    """Check that records are accounted for, that nothing went back, and that facts and outcomes agree.

    It may run while the pipeline works: what lags is waited for, and not judged if it does not come. Exits with 1 when
    something is found. Repairing is safe at any time: what is inserted merges with what is there.
    """
    from keeprate.sinks.checks.verification import CheckScope
    from keeprate.sinks.checks.verification import verify as examine
    from keeprate.sinks.kafka.errors import BrokerError
    from keeprate.sinks.store.clickhouse import StoreError, connect
    from keeprate.sinks.tables.placing import servers

    defaults = from_environment(brokers, store)
    try:
        scope = CheckScope(read_moment("--since", since, datetime.now(UTC)) if since else None, None, settled_s, repair)
        with _telling() as on_stage, ExitStack() as opened:
            client = opened.enter_context(connect(defaults.store_url if repair else defaults.reader_url))
            # Whoever only reads may know the store alone, which reads all shards.
            is_divided = repair or defaults.topology.shard_urls
            holding = opened.enter_context(servers(client, defaults.topology)) if is_divided else None
            kafka = None if offline else _kafka(defaults.brokers, join_group, patience_s, opened)
            report = examine(client, kafka, scope, on_stage=on_stage, servers=holding)
    except StoreError as error:
        raise SystemExit(
            f"keeprate verify: {error}\nIs the store up, and --store or KEEPRATE_STORE_URL right?"
        ) from None
    except BrokerError as error:
        said = f"Is Kafka up, and --brokers or KEEPRATE_BROKERS right? It is {defaults.brokers}; --offline asks none"
        raise SystemExit(f"keeprate verify: {error}\n{said}") from None
    except ValueError as error:
        raise SystemExit(f"keeprate verify: {error}") from None
    for line in _as_json(report) if as_json else _as_text(report, repair):
        typer.echo(printable(line))
    if report.findings:
        raise typer.Exit(1)


@contextmanager
def _telling() -> Iterator["OnStage"]:
    """How far it is, on standard error: bars where a person looks, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage)
            progress.update(tasks[stage], completed=done, total=total)

        yield tell


class _Lines:
    """A line for each stage that is done, and for one that takes long."""

    def __init__(self) -> None:
        self._told_at_s = time.monotonic()

    def tell(self, stage: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._told_at_s >= _TELL_EVERY_S:
            self._told_at_s = time.monotonic()
            typer.echo(f"{stage}: {done} of {total}", err=True)


def _kafka(brokers: str, join_group: str, patience_s: float, opened: ExitStack) -> "Kafka":
    from keeprate.sinks.checks.verification import Kafka
    from keeprate.sinks.kafka.positions import KafkaPositions
    from keeprate.sinks.kafka.reader import Reader

    reader, positions = Reader(brokers), opened.enter_context(KafkaPositions(brokers))
    opened.callback(reader.close)
    return Kafka(reader, positions, join_group, patience_s)


def _as_json(report: "VerifyReport") -> Iterator[str]:
    for check, compared in (("I6", report.positions), ("I7", report.agreements)):
        for each in compared:
            yield json.dumps({"kind": "compared", "check": check, **asdict(each)}, default=str)
    for finding in report.findings:
        yield json.dumps({"kind": "finding", **asdict(finding)})
    for one in report.conflicts:
        where = {"app": one.app, "generation_id": one.generation_id, "event_id": one.event_id, "where": one.where}
        yield json.dumps({"kind": "conflict", **where})
    for fact in report.unread:
        yield json.dumps({"kind": "unread", **asdict(fact)})
    names = ("ranges", "offsets", "outcomes")
    counts = {name: getattr(report, name) for name in names}
    counts |= {"conflicts": len(report.conflicts), "unread": len(report.unread)}
    yield json.dumps({"kind": "checked", **counts, "findings": len(report.findings)})


def _as_text(report: "VerifyReport", repair: bool) -> Iterator[str]:
    if report.positions:
        yield from _table(("group", "topic", "last range", "committed", "end"), map(_position, report.positions))
        yield ""
    if report.agreements:
        yield from _table(("day", "generations", "no outcome", "no fact", "waiting"), _days(report.agreements))
        yield ""
    for finding in report.findings:
        yield f"{finding.check}  {finding.where}"
        yield from textwrap.wrap(finding.detail, _WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield from _noted(
        "events have the id of another event that says something else; one of the two is a row, the outcome may have "
        "both. Give each event an id of its own",
        [(one.app, one.event_id, one.where) for one in report.conflicts],
    )
    yield from _noted(
        "facts are not taken by this version, which an earlier one took; their outcomes are left as they are",
        [(one.app, one.event_id, one.reason) for one in report.unread],
    )
    yield f"{report.ranges} ranges, {report.offsets} offsets, {report.outcomes} outcomes checked"
    repaired = "; recomputed outcomes were inserted" if repair and report.findings else ""
    yield f"{len(report.findings)} findings{repaired}"


def _noted(what: str, told: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """What is no violation: how many of which app, and the first of them."""
    if not told:
        return
    apps = ", ".join(f"{app} {number}" for app, number in Counter(app for app, _, _ in told).most_common(_SHOWN))
    yield from textwrap.wrap(f"{len(told)} {what} ({apps}):", _WIDTH)
    for _, event_id, detail in told[:_SHOWN]:
        yield from textwrap.wrap(f"{event_id}  {detail}", _WIDTH, initial_indent="    ", subsequent_indent="        ")
    if len(told) > _SHOWN:
        yield f"    and {len(told) - _SHOWN} more: --json lists them"


def _days(agreements: Sequence["Agreement"]) -> Iterator[tuple[object, ...]]:
    """Over all partitions, which --json tells apart."""
    for day in sorted({each.day for each in agreements}):
        of_day = [each for each in agreements if each.day == day]
        yield day, *(sum(getattr(each, name) for each in of_day) for name in ("facts", "missing", "orphans", "waiting"))


def _position(each: Any) -> tuple[object, ...]:
    last_range = "-" if each.range_end is None else f"{each.range_first}-{each.range_end - 1}"
    offsets = ("-" if offset is None else offset for offset in (each.committed, each.end))
    return each.group, f"{each.topic}/{each.partition}", last_range, *offsets


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    """Columns as wide as their widest cell."""
    cells = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
