"""Outcomes to suggestions: the definition, run for what just landed, for a repair, or for everything.

A derivation reads merged outcomes, and the newest one replaces those before, so running it again changes nothing, and a
partial outcome, a late fact, a repair or an erasure are all right once it ran behind them.

**Invariant:** the store's clock is read before the outcomes are, so of two derivations the newer has seen no less.
**Invariant:** the generations of a derivation are whole: it is told ids, and reads all of their choices.
"""

import logging
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Final, Protocol

from keeprate.sinks.reading.hours import marking
from keeprate.sinks.store.clickhouse import BatchRejectedError

logger = logging.getLogger(__name__)

TABLE: Final = "suggestions"
IDS_AT_ONCE: Final = 10_000
DERIVED_AT_ONCE: Final = 25_000
"""Generations in one statement. To understand it takes the engine as long as to derive some 5,000 of them; of 50,000 it
holds 300 MB."""
_SETTINGS: Final = {
    "async_insert": 0,
    # A history that was imported at once has many months.
    "max_partitions_per_insert_block": 0,
}
_FEW: Final = 100
"""Generations that are named in a parameter."""
_ENOUGH: Final = 5_000
"""Generations that cost the engine as much as the statement by which they are derived: fewer wait for others."""
_NAMED: Final = "generations"
"""The parameter that names few of them."""
_OF_FEW: Final = {"max_threads": 1}
"""A second thread costs more than what is left to it."""
_PATIENCE_S: Final = 1.0
"""How long they wait for others: longer than an insert takes."""


_MOVED: Final = """
INSERT INTO moves SELECT app, hour, generation_id, choice_index, derived_at
FROM
(
    SELECT app, hour, accept_hour, generation_id, choice_index, derived_at,
        argMax((hour, accept_hour), derived_at) OVER (PARTITION BY app, generation_id, choice_index) AS newest
    FROM {target} WHERE {condition}
)
WHERE hour != newest.1 OR (accept_hour != newest.2 AND accept_hour != 0)
"""


class RunsStatements(Protocol):
    """Runs statements: `clickhouse.Client`."""

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None: ...


@cache
def definition() -> str:
    """What a suggestion is, as a SELECT with a place for the outcomes."""
    return files("keeprate.sinks.reading").joinpath("definition.sql").read_text("utf-8")


def statement(source: str, target: str = TABLE) -> str:
    """The statement that derives the suggestions of `source`, a SELECT of whole generations' merged outcomes."""
    return f"INSERT INTO {target} {derivation(source)}"


def derivation(source: str) -> str:
    """The SELECT of what the suggestions of `source` are, in the order of the table's columns."""
    return definition().replace("{source}", source)


def derive(store: RunsStatements, generations: Collection[tuple[str, str]], target: str = TABLE) -> None:
    """Derive the suggestions of generations, given as (app, generation_id)."""
    for chosen in _chunks(sorted(generations), DERIVED_AT_ONCE):
        _derive(store, *of_generations(chosen), target)


def derive_each(store: RunsStatements, generations: Collection[tuple[str, str]]) -> None:
    """The same, whatever one of them holds: one that the engine cannot derive is left as it was, and logged.

    `keeprate verify` finds what was left. Raises StoreUnavailableError and SchemaMismatchError.
    """
    try:
        derive(store, generations)
    except BatchRejectedError as error:
        if len(generations) == 1:
            logger.error("%s: its suggestions cannot be derived: %s", "/".join(*generations), error)
            return
        ordered = sorted(generations)
        for half in (ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]):
            derive_each(store, half)


@dataclass(frozen=True)
class _Turn:
    generations: set[tuple[str, str]] = field(default_factory=set)
    done: Future[None] = field(default_factory=Future)


class Deriver:
    """Derives for threads that land at the same time: what they bring while one statement runs, the next one takes.

    The engine works longer on what the statement means than on the rows of most batches. So what is not enough waits
    for those who are inserting, too.
    """

    def __init__(self) -> None:
        self._noting, self._running = threading.Condition(), threading.Lock()
        self._next = _Turn()
        self._coming: set[int] = set()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Say that this thread is inserting what it will have derived in here."""
        with self._noting:
            self._coming.add(threading.get_ident())
        try:
            yield
        finally:
            with self._noting:
                self._came()

    def _came(self) -> None:
        self._coming.discard(threading.get_ident())
        self._noting.notify_all()

    def derive(self, store: RunsStatements, generations: Collection[tuple[str, str]]) -> None:
        """`derive_each`, of these and of others. Whoever's turn fails gets the error, and comes again."""
        if not generations:
            return
        with self._noting:
            turn = self._next
            turn.generations.update(generations)
            self._came()
        with self._running:
            if not turn.done.done():
                with self._noting:
                    self._noting.wait_for(lambda: not self._coming or len(turn.generations) >= _ENOUGH, _PATIENCE_S)
                    self._next = _Turn()
                try:
                    derive_each(store, turn.generations)
                except Exception as error:  # noqa: BLE001 - it is raised below, in every thread of the turn
                    turn.done.set_exception(error)
                else:
                    turn.done.set_result(None)
        turn.done.result()


def derive_between(store: RunsStatements, app: str, first: int, last: int, target: str = TABLE) -> None:
    """Derive the suggestions of an app's generations whose ids, as numbers, are in [first, last]."""
    condition = "app = {app:String} AND toUInt128(generation_id) BETWEEN {first:UInt128} AND {last:UInt128}"
    _derive(store, condition, {"app": app, "first": first, "last": last}, target)


def derive_all(store: RunsStatements, target: str = TABLE) -> None:
    """Derive all suggestions in one statement: for a store that is small."""
    _derive(store, "1", {}, target)


def _derive(store: RunsStatements, condition: str, parameters: Mapping[str, Any], target: str) -> None:
    """Mark the hours in which the suggestions are, derive them, and mark the hours in which they are then.

    The first mark keeps the hours from being summed meanwhile, also where this ends before the second one: whoever
    landed the outcomes comes back. What left its hour is noted last, when all versions of it are there.
    """
    mark = marking(f"{target} WHERE {condition}")
    _run(store, mark, parameters)
    _run(store, statement(merged(condition), target), parameters)
    _run(store, mark, parameters)
    _run(store, _MOVED.format(target=target, condition=condition), parameters)


def _run(store: RunsStatements, text: str, parameters: Mapping[str, Any]) -> None:
    chosen = _SETTINGS | (_OF_FEW if _NAMED in parameters else {})
    settings = ", ".join(f"{name} = {value}" for name, value in chosen.items())
    store.command(f"{text} SETTINGS {settings}", parameters)


def merged(condition: str) -> str:
    """A SELECT of merged outcomes, by a condition of their key: it is met before anything is merged."""
    return f"SELECT * FROM outcomes FINAL PREWHERE {condition}"


def of_generations(generations: Sequence[tuple[str, str]]) -> tuple[str, dict[str, Any]]:
    """A condition of the tables' key, with its parameters: names of apps are, and ids where they are few."""
    if len(generations) <= _FEW:
        # The text is the same each time then, and `keeprate store` reads it once. Many would be too long for the
        # address, in which parameters travel.
        named = [(app, uuid.UUID(generation_id).int) for app, generation_id in generations]
        return f"(app, toUInt128(generation_id)) IN {{{_NAMED}:Array(Tuple(String, UInt128))}}", {_NAMED: named}
    by_app: dict[str, list[str]] = {}
    for app, generation_id in generations:
        by_app.setdefault(app, []).append(str(uuid.UUID(generation_id)))
    # As numbers they would be floats.
    ids = ";".join(map(" ".join, by_app.values()))
    # One set for all apps: each has to be made ready, in every statement.
    chosen = f"SELECT arrayJoin(arrayZip({{apps:Array(String)}}, splitByChar(';', '{ids}'))) AS its"
    each = "SELECT its.1, toUInt128(toUUID(arrayJoin(splitByChar(' ', its.2))))"
    return f"(app, toUInt128(generation_id)) IN ({each} FROM ({chosen}))", {"apps": list(by_app)}


def _chunks(items: Sequence[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
