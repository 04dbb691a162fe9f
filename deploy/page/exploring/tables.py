"""Charts and lists as tables for CSV: the answers that are drawn, a row for each point, and nothing computed. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from keeprate.deploy.page.answers import Json

Row = dict[str, Any]
Table = Callable[[Json], Iterable[Row]]


def _points(answer: Json) -> Iterator[Row]:
    for group in answer["groups"]:
        for point in group["points"]:
            yield {"group": group["name"], **point}


def _parts(answer: Json) -> Iterator[Row]:
    """Each step of the funnel, and below it what its suggestions came to."""
    for step in answer["steps"]:
        yield {"step": step["name"], "part": "", "count": step["count"], "share": step["share"], "of": step["of"]}
        for part in step["parts"] if len(step["parts"]) > 1 else ():
            yield {"step": step["name"], "part": part["kind"], "count": part["count"], "share": None, "of": ""}


def _more(answer: Json) -> Iterator[Row]:
    for share in answer["shares"]:
        yield {"name": share["name"], "span": "now", **share["rate"]}
        yield {"name": share["name"], "span": "before", **(share["previous"] or {})}
    for span in ("now", "before"):
        yield {"name": "cost_per_kept", "span": span, **(answer["cost"][span] or {})}
        for each in answer["latency"][span]:
            bounds = {end: each[f"{end}_ms"] for end in ("value", "low", "high")}
            yield {"name": f"latency_ms_p{each['level'] * 100:g}", "span": span, **bounds, "denominator": each["calls"]}


def _cuts(answer: Json) -> Iterator[Row]:
    for cut in answer["cuts"]:
        for value in cut["values"]:
            yield {"cut": cut["name"], **value}


def _intake(answer: Json) -> Iterator[Row]:
    for kind, rows in answer.items():
        for row in rows:
            yield {"kind": kind, **row}


def _runs(answer: Json) -> Iterator[Row]:
    for story in answer["stories"]:
        for run in story["runs"]:
            yield {"app": story["app"], "suite": story["suite"], **run}


def _rows(answer: Json) -> Iterable[Row]:
    rows: Iterable[Row] = answer["rows"]
    return rows


TABLES: Final[Mapping[str, tuple[str, Table]]] = {
    "summary": ("summary", lambda answer: answer["metrics"]),
    "more": ("more", _more),
    "releases": ("releases", _rows),
    "alerts": ("alerts", _rows),
    "alarms": ("alarms", _rows),
    "series": ("series", _points),
    "retention": ("retention", _points),
    "funnel": ("funnel", _parts),
    "compare": ("compare", lambda answer: answer["groups"]),
    "feedback": ("feedback", _rows),
    "why": ("why", _cuts),
    "versions": ("versions", lambda answer: answer["judged"]),
    "versions_by": ("versions", lambda answer: [*answer["whole"]["groups"], *answer["parts"]["groups"]]),
    "intake": ("intake", _intake),
    "drift": ("drift", _rows),
    "accounts": ("accounts", lambda answer: answer["hops"]),
    "cases": ("cases", _runs),
}
"""By the name of a sheet: the question under /api/ that it shows, and the rows of its answer.

`suggestions` has a sheet of its own, which streams.
"""


def table(name: str, answer: Json | None) -> tuple[list[str], list[Row]]:
    """The columns, in the order in which they come up, and the rows. What is within another thing is named `a.b`."""
    _, rows_of = TABLES[name]
    rows = [dict(_flat(row)) for row in rows_of(answer)] if answer is not None else []
    return list(dict.fromkeys(column for row in rows for column in row)), rows


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None or before:
            # What is not there as a whole, such as a period before, has columns of its parts where it is.
            yield f"{before}{name}", value
