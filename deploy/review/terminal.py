"""What `keeprate agreement` prints, eighty columns wide."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keeprate.deploy.review.agreeing import ENOUGH, KEPT, Agreements, JudgesCompared, Stretch
from keeprate.deploy.review.coefficients import Agreeing
from keeprate.deploy.terminal import printable

_NAME: Final = 26


def show(found: Agreements, horizon_s: int, console: Console) -> None:
    """Print how all who judge agree. horizon_s: at which users had kept a suggestion or not."""
    if not found.comparisons and not found.together:
        console.print("Nobody judged what others judged or kept. Judges and experts send evaluations: docs/review.md.")
    if found.comparisons:
        _comparisons(found.comparisons, horizon_s, console)
    for voice, stretches in found.over_time.items():
        _over_time(voice.title, stretches, console)
    if found.together:
        _table(
            "Several raters",
            ("raters", "alpha"),
            console,
            [(each.title, (str(each.raters), _coefficient(each.alpha)), each.alpha.items) for each in found.together],
        )
    if found.reviewers:
        _table(
            "Each expert against the others",
            ("agree", "kappa"),
            console,
            [
                (each.voice.name[:12], (_share(each.agreement), _coefficient(each.kappa)), each.items)
                for each in found.reviewers
            ],
        )
    for name, (number, words) in found.unread.items():
        _unread(printable(name), number, printable(", ".join(repr(word) for word in words)), console)
    console.print(
        "\nin brackets 95 % intervals; * of fewer than 30 suggestions, so hardly more than a hint", style="dim"
    )


def _unread(name: str, number: int, words: str, console: Console) -> None:
    left_out = f"{name}: {number:,} judgements are in nothing above, as nothing says whether {words} is good."
    remedy = f"Say so under [judges.{name}] of the file of --review-config: good, bad, at_least."
    console.print(Text(f"\n{left_out}\n{remedy}", style="yellow"))


def _comparisons(all_of: Sequence[JudgesCompared], horizon_s: int, console: Console) -> None:
    kept = f"{KEPT} after {_span(horizon_s)}"
    for truth in dict.fromkeys(each.truth for each in all_of):
        rows = [
            (each.voice.title, (_share(each.precision), _share(each.recall), _coefficient(each.kappa)), each.items)
            for each in all_of
            if each.truth == truth
        ]
        title = f"Against {kept if truth == KEPT else truth}"
        _table(title, ("precision", "recall", "kappa"), console, rows)


def _over_time(title: str, stretches: Sequence[Stretch], console: Console) -> None:
    rows = []
    for each in stretches:
        found = each.comparison
        at = f"{datetime.fromtimestamp(each.at_ms / 1000, UTC):%Y-%m-%d}"
        rows.append((at, (_share(found.precision), _share(found.recall), _coefficient(found.kappa)), found.items))
    _table(f"{title}, against {KEPT}, from", ("precision", "recall", "kappa"), console, rows)


def _table(
    title: str, columns: Sequence[str], console: Console, rows: Sequence[tuple[str, Sequence[str], int]]
) -> None:
    console.print()
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column(Text(printable(title), style="bold"), overflow="fold", min_width=_NAME)
    table.add_column("of", justify="right")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for name, cells, items in rows:
        table.add_row(Text(printable(name)), f"{items:,}{'*' if items < ENOUGH else ''}", *cells)
    console.print(table)


def _share(found: Agreeing) -> str:
    return _shown(found, lambda value: f"{value:.0%}".removesuffix("%"), " %")


def _coefficient(found: Agreeing) -> str:
    return _shown(found, lambda value: f"{value:.2f}".replace("-", "\N{MINUS SIGN}"), "")


def _shown(found: Agreeing, write: Callable[[float], str], unit: str) -> str:
    if found.value is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{write(found.value)}{unit} (?)"
    return f"{write(found.value)}{unit} ({write(found.low)}…{write(found.high)})"


def _span(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
