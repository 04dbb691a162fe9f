"""The report in a terminal: tables that fit its width, the retention curve, and what to know before believing them.

A table that is wider than the terminal is stacked: the segment stands above its numbers instead of beside them, and
where that is not enough, a share above its interval.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from keeprate.deploy.report.curve import retention_curve
from keeprate.deploy.report.gathering import Report, notes
from keeprate.deploy.report.sheets import Cell, Sheet, SheetLine, curves, interval, keys, share, sheets

_WIDEST: Final = 10_000
_CURVE_WIDTH: Final = 100


def show(report: Report, console: Console, curve: bool = True) -> None:
    """Print the tables that have rows, and the retention curve."""
    scope = report.scope
    console.print(
        f"generations of [bold]{scope.since:%Y-%m-%d %H:%M}[/bold] to [bold]{scope.until:%Y-%m-%d %H:%M}[/bold] UTC, "
        f"as of {scope.as_of:%Y-%m-%d %H:%M}; each rate with its interval at 95 % and [dim]its denominator[/dim]"
    )
    for sheet in sheets(report):
        _print(sheet, report, console)
        if sheet.title == "Retention" and curve:
            console.print("\n[bold]Mostly kept, of what was observed[/bold]")
            console.print(_curve(report, console))
    if not report.retention:
        console.print("[dim]no retention checks yet: see docs/metrics.md for how they are sent[/dim]")
    for note in notes(report):
        console.print(f"[yellow]note[/yellow] {note}", soft_wrap=True)


def _print(sheet: Sheet, report: Report, console: Console) -> None:
    console.print(f"\n[bold]{sheet.title}[/bold]")
    table = _beside(sheet, keys(report))
    if _fits(table, console):
        console.print(table)
        return
    apart = " " if _fits(_below(sheet.lines, sheet), console) else "\n"
    for number, (where, lines) in enumerate(groupby(sheet.lines, key=lambda line: line.where)):
        console.print(Text(" · ".join(where) or "all", style="bold cyan"))
        if sheet.single:
            for line in lines:
                _print_stacked(line, sheet, console)
        else:
            console.print(_below(list(lines), sheet, head=number == 0, apart=apart))


def _fits(table: Table, console: Console) -> bool:
    return Measurement.get(console, console.options.update(width=_WIDEST), table).maximum <= console.width


def _beside(sheet: Sheet, segment: tuple[str, ...]) -> Table:
    """The table with a column for each part of the segment."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in segment:
        table.add_column(name, overflow="fold")
    for name in sheet.columns:
        table.add_column(name, justify="right")
    for line in sheet.lines:
        table.add_row(*(Text(name) for name in line.where), *(_cell(cell, sheet) for cell in line.cells))
    return table


def _below(lines: Sequence[SheetLine], sheet: Sheet, head: bool = True, apart: str = " ") -> Table:
    """The lines of one segment, in columns that are those of the other segments. apart: a share from its interval."""
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=head)
    for place, name in enumerate(sheet.columns):
        cells = [_cell(line.cells[place], sheet, apart) for line in sheet.lines]
        longest = max(part.cell_len for cell in cells for part in cell.split())
        table.add_column(name, justify="right", width=max(longest, *map(len, name.split())), overflow="fold")
    for line in lines:
        table.add_row(*(_cell(cell, sheet, apart) for cell in line.cells))
    return table


def _print_stacked(line: SheetLine, sheet: Sheet, console: Console) -> None:
    """The line's counts in a row, and its rates below each other."""
    named = list(zip(sheet.columns, line.cells, strict=True))
    if counts := ", ".join(f"{name} {cell}" for name, cell in named if isinstance(cell, str)):
        console.print(Text(f"  {counts}"))
    width = max(len(name) for name in sheet.columns)
    for name, cell in named:
        if not isinstance(cell, str):
            text = Text(f"  {name:<{width}}  {share(cell.value):>7}  {interval(cell):>13}")
            if cell.value is not None:
                text.append(f"  /{cell.denominator:,.0f}", style="dim")
            console.print(text)


def _cell(cell: Cell, sheet: Sheet, apart: str = " ") -> Text:
    """As Text, because in a plain string brackets are markup to rich, and apps name what they like."""
    if isinstance(cell, str):
        return Text(cell)
    text = Text(apart.join(filter(None, (share(cell.value), interval(cell)))))
    if sheet.denominators and cell.value is not None:
        text.append(f" /{cell.denominator:,.0f}", style="dim")
    return text


def _curve(report: Report, console: Console) -> Text:
    shown = {name: {rate.horizon_s: rate.value or 0.0 for rate in rates} for name, rates in curves(report).items()}
    return retention_curve(shown, min(console.width, _CURVE_WIDTH), console.is_terminal)
