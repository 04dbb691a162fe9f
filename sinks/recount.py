"""Count windows again in which replayed outcomes count, after a bug in either or where rows were lost.

Windows are counted from the outcomes that the store holds, so outcomes come first. A window that is closed lacks what
came later, by its definition: that it differs is no fault, and it is counted again all the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from keeprate.schemas.outcome import Outcome
from keeprate.schemas.window_names import WINDOW_MS
from keeprate.schemas.windows import contribution, read_labels
from keeprate.sinks.windows import STEP_MS, Windows, open_span

_GAP_MS: Final = 3_600_000
"""Windows that lie closer together are counted in one go, with those between them."""


@dataclass
class Touched:
    """The windows in which some outcomes count."""

    _begins: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, outcomes: Iterable[tuple[str, Outcome]]) -> None:
        """Take the windows of more outcomes, given with their keys."""
        labels_of = read_labels()
        for key, outcome in outcomes:
            self._begins[key.split("/")[0]].update(piece[0] for piece in contribution(key, outcome, labels_of))

    def spans(self) -> Iterator[tuple[str, int, int]]:
        """Apps with spans of time, in ms, that hold all of the windows. No span is longer than is counted at once."""
        for app, begins in sorted(self._begins.items()):
            first = last = -1
            for at in sorted(begins):
                if first >= 0 and (at - last > _GAP_MS or at - first >= STEP_MS):
                    yield app, first, last + WINDOW_MS
                    first = -1
                first, last = (at if first < 0 else first), at
            if first >= 0:
                yield app, first, last + WINDOW_MS


@dataclass
class Recounted:
    """compared: windows that could be judged. differing: open ones that are not what their outcomes say. closed: closed
    ones of which that is true. written: of both.
    """

    compared: int = 0
    differing: int = 0
    closed: int = 0
    written: int = 0


def recount(
    windows: Windows, touched: Touched, writes: bool = False, on_span: Callable[[], None] = lambda: None
) -> Recounted:
    """Compare windows with their outcomes. writes: insert what differs. on_span: is called after each span."""
    done = Recounted()
    open_since_ms, _ = open_span()
    for app, since_ms, until_ms in touched.spans():
        compared, found = windows.differences(since_ms, until_ms, [app])
        done.compared += compared
        done.differing += sum(one.window.window_at >= open_since_ms for one in found)
        done.closed += sum(one.window.window_at < open_since_ms for one in found)
        if writes:
            windows.repair(found)
            done.written += len(found)
        on_span()
    return done
