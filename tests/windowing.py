"""What tests of windows share: events spread over days, and the windows that a log must come to."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Final

from hypothesis import strategies as st

from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from keeprate.schemas.outcome import Outcome
from keeprate.schemas.topics import DAY_MS
from keeprate.schemas.window_record import Form, Segments, WindowId, add, encode_window, fold
from keeprate.schemas.windows import contribution, read_labels
from tests.strategies import events

START_MS: Final = 1_772_442_000_000
HOUR_MS: Final = 3_600_000
LAGS_MS: Final = (0, 240_000, HOUR_MS, DAY_MS, 7 * DAY_MS // 2, 5 * DAY_MS, 6 * DAY_MS, 9 * DAY_MS)

Counted = dict[tuple[str, int], Segments]
"""By app and begin, the counts of a window."""


def begun_at(number: int) -> int:
    """When the generation of the suggestions of this number is called, as its id says."""
    return START_MS + number * DAY_MS


def dated(event: Event, at_ms: int, number: int) -> Event:
    """The event at another time, about a generation whose id, a UUIDv7, is of its number's day."""
    identity = uuid.UUID(int=begun_at(number) << 80 | 7 << 76 | 2 << 62 | number)
    return validate(event | {"occurred_at": at_ms, "generation_id": str(identity)})


_APART: Final = st.sampled_from([*LAGS_MS, -HOUR_MS, 3650 * DAY_MS])
_SPREAD: Final = st.tuples(events(), st.integers(0, 2), _APART).map(
    lambda drawn: dated(drawn[0], begun_at(drawn[1]) + drawn[2], drawn[1])
)


def spread(max_size: int = 25) -> st.SearchStrategy[list[Event]]:
    """A log whose events lie apart by minutes, hours or days, some of them far in the future."""
    return st.lists(_SPREAD, min_size=1, max_size=max_size)


def counted(outcomes: Mapping[str, Outcome], form: Form = Form()) -> Counted:  # noqa: B008 - frozen
    """The windows of outcomes, recomputed: what all counting must agree with."""
    windows: Counted = {}
    for key, outcome in outcomes.items():
        for piece in contribution(key, outcome, read_labels(form.labels)):
            add(windows.setdefault((key.split("/")[0], piece[0]), {}), piece, 1)
    return windows


def encoded(segments: Segments, form: Form = Form()) -> bytes:  # noqa: B008 - frozen
    """The counts of a window as its record holds them."""
    return contents(encode_window(WindowId("", 0, 0), 0, *fold(segments, form.max_segments), form))


def contents(record: bytes) -> bytes:
    """What a record says, but for which window, and of which version."""
    return record[record.index(b'"labels"') :]


def version(record: bytes) -> int:
    """The version of a record."""
    return int(record.partition(b'"version":')[2].partition(b",")[0])


def latest(records: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The records that hold, of all that were published: as the table keeps them."""
    kept: dict[bytes, bytes] = {}
    for key, record in records:
        if key not in kept or version(record) >= version(kept[key]):
            kept[key] = record
    return kept
