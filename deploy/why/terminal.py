"""What `keeprate why` prints: the difference, what explains it, and the cuts, eighty columns wide."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keeprate.deploy.terminal import printable
from keeprate.deploy.why import words
from keeprate.deploy.why.explaining import Explained
from keeprate.streams.quality.decomposition import Contribution, Decomposition

_MOST: int = 8


def show(found: Explained, title: str, console: Console) -> None:
    """Print an explanation. title: what differs from what."""
    console.print(Text(printable(title), style="bold"))
    rates = " → ".join(_rate(*side) for side in (found.old, found.new))
    console.print(f"{words.interval(found.difference)}   {rates}\n")
    if not found.reasons:
        console.print(words.NOWHERE)
    for each in found.reasons[:_MOST]:
        name = f"{each.cut}={each.value}" if each.value else each.cut
        console.print(Text(f"{each.share:>5.0%}".replace("%", " %")) + Text(f"  {printable(name)}", style="bold cyan"))
        console.print(Text(f"         {printable(words.reason(each, found))}", style="dim"))
    for cut, taken in found.cuts.items():
        _show_cut(cut, taken, console)
    console.print("\nintervals hold at 95 % for all lines at once; trials are taken as independent", style="dim")


def _show_cut(cut: str, taken: Decomposition, console: Console) -> None:
    console.print()
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column(Text(cut.replace("_", " "), style="bold"), overflow="fold")
    for name in ("share", "before", "after", "moved, pp"):
        table.add_column(name, justify="right")
    for each in taken.contributions:
        table.add_row(Text(printable(each.portion.value or words.NOT_SET)), *_cells(each, taken))
    console.print(table)
    console.print(f"other shares: {words.interval(taken.mix)}", style="dim")


def _cells(each: Contribution, taken: Decomposition) -> tuple[str, ...]:
    old, new = (
        sum(getattr(other.portion, f"{side}_trials") for other in taken.contributions) for side in ("old", "new")
    )
    own = each.portion
    return (
        f"{_percent(own.old_trials, old)} → {_percent(own.new_trials, new)}",
        _rate(own.old_trials, own.old_successes),
        _rate(own.new_trials, own.new_successes),
        words.interval(each.moved).replace(" pp", "") if each.moved else "-",
    )


def _rate(trials: int, successes: int) -> str:
    return f"{successes / trials:.1%} /{trials:,}".replace("%", " %") if trials else "-"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}".replace("%", " %") if whole else "-"
