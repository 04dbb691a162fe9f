"""The watched series as a table, eighty columns wide: those in alarm first, then by app."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keeprate.deploy.monitor.drifting import evidence_of
from keeprate.deploy.monitor.expected import metric_label
from keeprate.deploy.terminal import printable
from keeprate.sinks.closed import watched
from keeprate.sinks.closed.drift_states import Kept
from keeprate.streams.quality.detector import SIDES, Policy, Side, evidence_ratio

_STYLE: Final = {"alarm": "bold red", "frozen": "yellow", "warming": "dim"}


def chosen(kept: Iterable[Kept], app: str, metric: str) -> list[Kept]:
    """Those of an app and a metric, '' for all, in the order in which they are read."""
    wanted = [
        each
        for each in kept
        if app in ("", each.series[0]) and metric in ("", each.series[4], metric_label(each.series[4]))
    ]
    return sorted(wanted, key=lambda each: (each.standing.name != "alarm", each.series))


def show(found: Sequence[Kept]) -> None:
    """Print a table for each app, prompt, version and model; a sentence where there is none."""
    console = Console(highlight=False)
    if not found:
        console.print(
            "no such series is watched: does the monitor run, has a batch closed, and is --app or --metric right?"
        )
        return
    for series, group in groupby(found, key=lambda each: each.series[:4]):
        console.print(Text(printable(" · ".join(filter(None, series))), style="bold cyan"))
        table = Table(box=None, padding=(0, 1, 0, 2))
        # Names differ at their end, so they are folded and not cut.
        for name in ("metric", "stands"):
            table.add_column(name, overflow="fold")
        for name in ("expected", "last day", "sees", "evidence"):
            table.add_column(name, justify="right")
        for each in group:
            now = each.standing
            evidence = max(ratio(each, side) for side in SIDES)
            table.add_row(
                printable(metric_label(each.series[4])),
                Text(now.name, style=_STYLE.get(now.name, "")),
                "-" if now.expected is None else _share(now.expected),
                f"{_share(now.successes / now.trials)} /{now.trials:,}" if now.trials else "-",
                sees(each),
                f"{evidence:.2f}" if evidence >= 0.005 else "",
            )
        console.print(table)
    blind = sum(each.standing.detectable is None for each in found)
    console.print(
        f"\n{len(found)} series; {blind} of them see no change within a day at this traffic.",
        style="dim",
        soft_wrap=True,
    )


def sees(kept: Kept) -> str:
    """The smallest change for the worse that is found within a day: `-18 %`, `+140 %`; `no fall` or `no rise`."""
    part = kept.standing.detectable
    falls = watched.named(kept.series[4]).bad == "fell"
    if part is None:
        return "no fall" if falls else "no rise"
    return f"{'-' if falls else '+'}{100 * part:.0f} %"


def ratio(kept: Kept, side: Side) -> float:
    """The evidence of one side: an alarm from 1 on."""
    return evidence_ratio(evidence_of(getattr(kept, side)), Policy())


def _share(rate: float) -> str:
    return f"{100 * rate:.1f} %"
