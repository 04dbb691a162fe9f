"""The tables of a run, for a terminal of 80 columns and for docs/drift.md."""

from collections.abc import Sequence
from math import isinf
from pathlib import Path
from typing import Final

from rich.table import Table

from tests.bench import machine
from tests.drift import plot
from tests.drift.measures import VOLUMES, Delay
from tests.drift.plan import IID_TIMES, Found, delay, places
from tests.drift.rivals import TOLD
from tests.drift.targets import Row

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_VERDICT: Final = {True: "yes", False: "NO", None: "-"}
Cells = list[Sequence[str]]


def terminal(found: Found, rows: Sequence[Row]) -> list[Table | str]:
    """Every table, and how it was made."""
    tables: list[Table | str] = []
    for title, cells in _tables(found, rows):
        table = Table(*cells[0], title=title, title_justify="left")
        for each in cells[1:]:
            table.add_row(*each)
        tables.append(table)
    return [*tables, _made(found)]


def into_docs(path: Path, found: Found, rows: Sequence[Row]) -> None:
    """Put the tables between the document's marks."""
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [f"### {title}\n\n{_markdown(cells)}" for title, cells in _tables(found, rows)]
    path.write_text(f"{before}{BEGIN}\n{_made(found)}\n\n" + "\n\n".join(parts) + f"\n{END}{after}", "utf-8")
    plot.PICTURE.write_text(plot.svg(path.read_text("utf-8")), "utf-8")


def _tables(found: Found, rows: Sequence[Row]) -> list[tuple[str, Cells]]:
    tables = [("Targets", _targets(rows)), ("Worlds", _worlds(found)), ("Rivals", _rivals(found))]
    if ("outside",) in found:
        tables.append(("Labelled series of others", found["outside",]))
    return tables


def _targets(rows: Sequence[Row]) -> Cells:
    return [("", "promised", "measured", "kept"), *((*_texts(each), _VERDICT[each.passed]) for each in rows)]


def _texts(row: Row) -> tuple[str, str, str]:
    return row.name, row.promise, row.measured


def _worlds(found: Found) -> Cells:
    cells: Cells = [("world", "false alarms/1000 d", "median h", "p90 h")]
    for name in dict.fromkeys(name for name, _ in places()):
        rates = [f"{found['alarms', name, each].per_1000_days:.1f}" for each in VOLUMES]
        hours = [delay(found, "delays", name, each) for each in VOLUMES]
        medians, tails = (" / ".join(map(_hours, each)) for each in zip(*map(_pair, hours), strict=True))
        cells.append((name, " / ".join(rates), medians, tails))
    return cells


def _rivals(found: Found) -> Cells:
    """Median, ninth decile and mean by volume, each detector tuned to one false alarm in 1000 iid days."""
    cells: Cells = [("tuned to 1/1000 iid days; * told the change", "median h", "p90 h", "mean h")]
    delays: dict[str, list[Delay]] = {"Keeprate": [delay(found, "tuned", each) for each in VOLUMES]}
    for key, value in found.items():
        if key[0] == "rival":
            delays.setdefault(f"{key[1]}{' *' if key[1] in TOLD else ''}", []).append(value)
    if ("adwin delays", VOLUMES[0]) in found:
        delays["ADWIN"] = [delay(found, "adwin delays", each) for each in VOLUMES]
    for name, hours in delays.items():
        means = " / ".join(_hours(each.mean) for each in hours)
        medians, tails = (" / ".join(map(_hours, each)) for each in zip(*map(_pair, hours), strict=True))
        cells.append((name, medians, tails, means))
    return cells


def _pair(hours: Delay) -> tuple[float, float]:
    return hours.median, hours.p90


def _hours(value: float) -> str:
    return "never" if isinf(value) else f"{value:.1f}"


def _made(found: Found) -> str:
    size, run = found["size",], found["run",]
    described = machine.describe()
    return (
        f"50 / 200 / 1000 trials an hour; of each world and volume {size.alarms * 28:,} series-days without a change "
        f"and {size.delays} changes (iid: {IID_TIMES * size.delays}). `make drift-bench`, seed {run['seed']}, "
        f"{run['seconds']} s in {run['jobs']} process{'es' * (run['jobs'] > 1)} on {described['cpu']}, "
        f"{described['cores']} cores, Python {described['python']}."
    )


def _markdown(cells: Cells) -> str:
    lines = [f"| {' | '.join(each)} |" for each in cells]
    return "\n".join([lines[0], "|---" * len(cells[0]) + "|", *lines[1:]])
