"""What is done to derivations and sums in a process of a trial: it ends, stands still in the middle, or is broken."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from keeprate.sinks.reading import derive, rebuild
from keeprate.sinks.reading.derive import Deriver
from keeprate.sinks.store.clickhouse import Client

STATEMENTS: Final = 4
"""Of a derivation: a mark, the derivation itself, a mark, the moves."""
OLD_DEFINITION: Final = ("o.dwell_ms >= 750", "o.dwell_ms >= 750000")
"""What another version's definition says in the place of this one's."""


def signal_at(module: Any, nth: int, name: str, done: Path | None = None) -> None:
    """Send this process a signal before the nth statement that a module runs. done: is there once it ran after all."""
    run, seen = module._run, 0

    def harmed(store: Any, text: str, parameters: Mapping[str, Any]) -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            os.kill(os.getpid(), signal.Signals[name])
        run(store, text, parameters)
        if seen >= nth and done is not None:
            done.touch()

    module._run = harmed


def define_otherwise() -> None:
    """Derive as another version did."""
    text = derive.definition().replace(*OLD_DEFINITION)
    assert text != derive.definition()
    derive.definition = lambda: text  # type: ignore[assignment]


def _derive_when_more_comes() -> None:
    """Derive what landed once more has landed, which may be never."""
    now, left = Deriver.derive, set[tuple[str, str]]()

    def later(self: Deriver, store: Any, generations: Any) -> None:
        due = set(left)
        left.clear()
        left.update(generations)
        now(self, store, due)

    Deriver.derive = later  # type: ignore[method-assign]


def _mark_once() -> None:
    """Mark hours that have no mark yet, and leave the sums of the others as they are."""
    run, known = derive._run, "(app, hour) IN (SELECT app, hour FROM hour_marks)"

    def once(store: Any, text: str, parameters: Mapping[str, Any]) -> None:
        if text.startswith("INSERT INTO hour_marks"):
            text = text.replace("WHERE ", f"WHERE NOT {known} AND (", 1).replace(" GROUP BY", ") GROUP BY", 1)
        run(store, text, parameters)

    derive._run = once


def _never_catch_up() -> None:
    """Swap in what was built, whatever landed meanwhile."""

    def nothing(store: Client, began_at: int, seen_in: str, target: str) -> None: ...

    rebuild._catch_up = nothing


SABOTAGE: Final[dict[str, Callable[[], None]]] = {
    "derive_when_more_comes": _derive_when_more_comes,
    "mark_once": _mark_once,
    "never_catch_up": _never_catch_up,
}
