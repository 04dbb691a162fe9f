"""What `keeprate releases` and `keeprate compare` print: a table for each release, eighty columns wide."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keeprate.deploy.releases import words
from keeprate.deploy.releases.judging import ReleaseFinding
from keeprate.deploy.terminal import printable
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.streams.quality.evidence import Weighed

_STYLE: Final = {"worse": "bold red", "better": "green", "same": "cyan", "not_yet": "dim"}
_BARS: Final = " ▁▂▃▄▅▆▇█"
_LOW: Final = -2.0
"""The bar's foot: a hundredth of 1."""
_STEPS: Final = 40


def show(verdicts: Iterable[KeptVerdict], console: Console) -> None:
    """Print the releases in the order in which they come."""
    for _, group in groupby(verdicts, key=lambda each: (each.app, each.component, each.family, each.version)):
        show_release(list(group), console)
        console.print()


def show_release(found: Sequence[KeptVerdict], console: Console) -> None:
    """Print one release: what replaced what, and each metric."""
    first = found[0]
    what = " · ".join(filter(None, (printable(first.app), printable(first.family))))
    head = Text(f"{printable(first.version)} after {printable(first.predecessor)}", style="bold cyan")
    console.print(head + Text(f"  {what}", style="bold") + Text(f"  since {words.moment(first.released_at)} UTC"))
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name, justify in (("", "left"), ("verdict", "left"), (first.version, "right"), (first.predecessor, "right")):
        table.add_column(Text(printable(name)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in ("difference, pp", "sees -10 %"):
        table.add_column(name, justify="right")
    for each in found:
        table.add_row(
            Text(printable(words.metric_name(each))),
            Text(words.VERDICT[each.verdict], style=_STYLE[each.verdict]),
            _rate(each.new_successes, each.new_trials),
            _rate(each.old_successes, each.old_trials),
            words.difference(each).replace(" pp", ""),
            words.time_left(each.days_left),
        )
    console.print(table)


def show_evidence(found: Sequence[ReleaseFinding], console: Console) -> None:
    """Print how evidence came over the trials of the new version, in the direction that has more of it."""
    console.print("\n[bold]Evidence over time[/bold]  a full block is enough; [dim]1 is an alarm[/dim]")
    for each in found:
        side = "fell" if each.judgement.fell >= each.judgement.rose else "rose"
        ratio = getattr(each.judgement, side)
        bars = sparkline([getattr(at, side) - each.log_threshold for at in _sampled(each.comparison.path)])
        name = escape(f"{printable(words.metric_name(each.kept)):<12}")
        console.print(f"{name} {'below' if side == 'fell' else 'above'} {_ratio(ratio):>8}  {bars}")


def how(found: KeptVerdict) -> str:
    """How it was compared, and what an interval is."""
    return (
        f"compared {words.METHOD[found.method]}; intervals hold at 95 % however often you look; "
        "sees -10 %: how long until a version a tenth worse would be seen"
    )


def sparkline(log_ratios: Iterable[float]) -> str:
    """A bar for each, from a hundredth of the threshold to the threshold."""
    levels = (1 - each / math.log(10) / _LOW for each in log_ratios)
    return "".join(_BARS[max(0, min(len(_BARS) - 1, int(level * (len(_BARS) - 1))))] for level in levels)


def _sampled(path: Sequence[Weighed]) -> list[Weighed]:
    if len(path) <= _STEPS:
        return list(path)
    return [path[round(at * (len(path) - 1) / (_STEPS - 1))] for at in range(_STEPS)]


def _ratio(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:,.0f}" if ratio < 1e4 else f"{ratio:.0e}"


def _rate(successes: int, trials: int) -> Text:
    if not trials:
        return Text("-")
    text = Text(f"{successes / trials:.1%}".replace("%", " %"))
    return text + Text(f" /{trials:,}", style="dim")
