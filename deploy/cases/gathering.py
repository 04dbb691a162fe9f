"""Reads what a list of suggestions needs to become cases: of each, its chain and its corrections."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from keeprate.deploy.cases.making import LeftOut, best_correction, distinct, make
from keeprate.deploy.cases.suite import Case, Json
from keeprate.deploy.page.exploring.listed import fate_of
from keeprate.sinks.facts.chain import chains
from keeprate.sinks.facts.corrections import corrections, whole
from keeprate.sinks.reading.lists.listing import Suggestion
from keeprate.sinks.store.clickhouse import Client

AT_ONCE: Final = 20
"""Suggestions whose content is read together."""
MOST_BYTES: Final = 64 << 20
"""Of content in one suite: what is beyond is left out, and said."""


@dataclass(frozen=True)
class Gathered:
    """suggestions: how many were read. full: whether the content of more than these would have been too much."""

    cases: Sequence[Case]
    left_out: Sequence[LeftOut]
    suggestions: int
    full: bool = False

    @property
    def same(self) -> int:
        """Suggestions that are in the case of another."""
        return self.suggestions - len(self.cases) - len(self.left_out)

    @property
    def left_out_json(self) -> list[Json]:
        return [each.as_json() for each in self.left_out]


def gather(
    client: Client,
    rows: Iterable[Suggestion],
    page_url: str,
    on_read: Callable[[str, str], object] = lambda app, generation_id: None,
) -> Gathered:
    """The cases of suggestions. It reads content.

    page_url: of the page, for links. on_read: told the app and the id of each generation whose content was read.
    """
    made: list[Case] = []
    left: list[LeftOut] = []
    count, size = 0, 0
    waiting = iter(rows)
    while batch := list(islice(waiting, AT_ONCE)):
        if size > MOST_BYTES:
            return Gathered(distinct(made), left, count, full=True)
        for row, stages, edits in _read(client, batch):
            app, generation_id, _ = row.identity
            on_read(app, generation_id)
            link = f"{page_url.rstrip('/')}/suggestions/{app}/{generation_id}"
            found = make(row.values, fate_of(row.values), stages, edits, link)
            count += 1
            if isinstance(found, LeftOut):
                left.append(found)
            else:
                made.append(found)
                size += len(json.dumps(found.as_json()))
    return Gathered(distinct(made), left, count)


def _read(client: Client, rows: Sequence[Suggestion]) -> Iterator[tuple[Suggestion, list[Json], list[Json]]]:
    """Each row with its chain and its corrections, in the order of the rows."""
    by_app: dict[str, list[str]] = {}
    for row in rows:
        by_app.setdefault(row.identity[0], []).append(row.identity[1])
    stages = {app: chains(client, app, ids) for app, ids in by_app.items()}
    edits = {app: _best_of(client, app, [row for row in rows if row.identity[0] == app]) for app in by_app}
    for row in rows:
        app, generation_id, choice = row.identity
        best = edits[app].get((generation_id, choice))
        yield row, stages[app][generation_id], [] if best is None else [best]


def _best_of(client: Client, app: str, rows: Sequence[Suggestion]) -> dict[tuple[str, int], Json]:
    """The correction that counts of each suggestion of an app that has one, with its text."""
    ids = [row.identity[1] for row in rows]
    known = corrections(client, app, ids)
    best = {row.identity[1:]: best_correction(known[row.identity[1]], row.identity[2]) for row in rows}
    wanted = {key: each["event_id"] for key, each in best.items() if each is not None}
    texts = whole(client, app, ids, list(wanted.values()))
    return {key: texts[event_id] for key, event_id in wanted.items() if event_id in texts}


def told(found: Gathered) -> list[str]:
    """What was left out and why, in words, with what would do; nothing where all is in."""
    by_reason: dict[tuple[str, str], int] = {}
    for each in found.left_out:
        by_reason[each.reason, each.app] = by_reason.get((each.reason, each.app), 0) + 1
    lines = []
    for (reason, app), count in by_reason.items():
        words = LeftOut(reason, app, "").as_json()
        lines.append(f"{count} of {app}: {words['why']}.\n  Remedy: {words['remedy']}.")
    if found.full:
        lines.append(
            f"the content of more than {found.suggestions} suggestions is too much for one suite: narrow the list."
        )
    return lines
