"""The record of one window: all its segments in one partition, as absolute counts. Pure.

A record replaces the one before as a whole, so a segment that is no more leaves nothing behind, and folding segments
into `other` is one step. The bytes of a record are ClickHouse's row, as those of an outcome are.

The version says which facts are counted: it begins with the offset of the last record of keeprate.outcomes that the
counts include. Of two records of one window the higher version holds; equal versions have equal counts.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json, to_json

from keeprate.schemas.window_names import (
    AT,
    COUNTS,
    HORIZON_AT,
    HORIZON_CELLS,
    HORIZON_COUNTS,
    LABELS,
    MARKS,
    WINDOW_MS,
    Cell,
    Labels,
    Piece,
)

OTHER: Final = "other"
DEFAULT_SEGMENTS: Final = 100
MAX_SEGMENTS: Final = 200
MAX_HORIZONS: Final = 8
MAX_MARKS: Final = 20
MAX_COUNT: Final = 2**63 - 1
"""What a column holds: an amount that goes beyond it stays at it, and comes down again when it is taken back."""
MAX_LABEL: Final = 100
"""Characters of a label. With the limits above, a record stays below a megabyte."""

Cells = dict[Cell, int]
Segments = dict[Labels, Cells]
"""The counts of one window, those that are not 0."""

_TIME: Final = "%Y-%m-%d %H:%M:%S"
"""In UTC: ClickHouse takes a number for seconds, and elsewhere times are milliseconds."""
_VERSION_STEP: Final = 1 << 16
_COMPLETE: Final = 1 << 15


def version_of(offset: int | None, complete: bool) -> int:
    """The version of counts that include a partition's outcomes up to an offset; None before there is one.

    complete: they include all of them. Where two workers met, the counts may lack what the other one wrote in between:
    such counts are older than those of whoever recovers up to the same offset. Below that there is room for repairs.
    """
    return 0 if offset is None else (offset + 1) * _VERSION_STEP + complete * _COMPLETE


def repaired(version: int) -> int:
    """The version of a row that repairs one of this version: above it, and below all that later facts make."""
    return version + 1


def outcomes_end(version: int) -> int:
    """The offset in keeprate.outcomes after the last one that is counted."""
    return version // _VERSION_STEP


@dataclass(frozen=True, order=True)
class WindowId:
    """Which window: of an app, begun at a time in ms, as far as one partition knows it."""

    app: str
    window_at: int
    partition: int

    def key(self) -> bytes:
        """The record's key."""
        return f"{self.app}/{self.window_at}/{self.partition}".encode()


@dataclass(frozen=True)
class Form:
    """How counts are written: which labels are told apart, and how many segments there may be before `other`."""

    labels: tuple[str, ...] = LABELS
    max_segments: int = DEFAULT_SEGMENTS


def add(segments: Segments, piece: Piece, sign: int) -> None:
    """Count a piece, or with -1 take it back. What comes to 0 is gone."""
    _, labels, ones, amounts = piece
    cells = segments.get(labels)
    if cells is None:
        cells = segments[labels] = {}
    get = cells.get
    for cell in ones:
        cells[cell] = get(cell, 0) + sign
    for cell, amount in amounts:
        cells[cell] = get(cell, 0) + sign * amount
    if sign < 0:
        for cell in (*ones, *(cell for cell, _ in amounts)):
            if not cells.get(cell, 1):
                del cells[cell]
        if not cells:
            del segments[labels]


def encode_window(window: WindowId, version: int, kept: Segments, folded: int, form: Form) -> bytes:
    """The record of what `fold` kept. Equal counts in the same form have the same bytes."""
    return to_json(
        {
            "app": window.app,
            "window_at": time.strftime(_TIME, time.gmtime(window.window_at // 1000)),
            "partition": window.partition,
            "version": version,
            "labels": form.labels,
            "max_segments": form.max_segments,
            "folded": folded,
            "segments": [_row(labels, kept[labels]) for labels in sorted(kept)],
        }
    )


def fold(segments: Segments, limit: int) -> tuple[Segments, int]:
    """At most so many segments beside `other`, those with most generations and suggestions, and how many are folded."""
    kept = segments
    if any(len(label) > MAX_LABEL for labels in segments for label in labels):
        kept = _merged((tuple(label[:MAX_LABEL] for label in labels), cells) for labels, cells in segments.items())
    if len(kept) <= limit:
        return kept, 0
    ranked = sorted(kept.items(), key=lambda item: (-_weight(item[1]), item[0]))
    rest = ((OTHER,) * len(LABELS), ranked[limit:])
    return _merged([*ranked[:limit], *((rest[0], cells) for _, cells in rest[1])]), len(ranked) - limit


def _weight(cells: Mapping[Cell, int]) -> int:
    return cells.get(AT["opportunities"], 0) + cells.get(AT["shown"], 0)


def _merged(parts: Iterable[tuple[Labels, Mapping[Cell, int]]]) -> Segments:
    merged: Segments = {}
    for labels, cells in parts:
        sums = merged.setdefault(labels, {})
        for cell, count in cells.items():
            sums[cell] = sums.get(cell, 0) + count
    return merged


def _row(labels: Labels, cells: Cells) -> list[Any]:
    counts = [0] * len(COUNTS)
    horizons: dict[int, list[int]] = {}
    marks: dict[str, dict[str, int]] = {kind: {} for kind in MARKS}
    for cell, count in cells.items():
        if isinstance(cell, str):
            kind, _, name = cell.partition("/")
            marks[kind][name] = count
        elif cell < HORIZON_CELLS:
            counts[cell] = min(count, MAX_COUNT)
        else:
            horizon_s, index = divmod(cell, HORIZON_CELLS)
            horizons.setdefault(horizon_s, [0] * len(HORIZON_COUNTS))[index] = count
    rows = [
        [horizon_s, *(min(count, MAX_COUNT) for count in horizon)] for horizon_s, horizon in _bounded_horizons(horizons)
    ]
    return [*labels, *counts, rows, *(_bounded_marks(marks[kind]) for kind in MARKS)]


def _bounded_horizons(horizons: dict[int, list[int]]) -> list[tuple[int, list[int]]]:
    """Those with most checks; the rest are horizon 0."""
    ranked = sorted(horizons.items(), key=lambda item: (-item[1][HORIZON_AT["observed"]], item[0]))
    kept = sorted(ranked[:MAX_HORIZONS])
    if rest := [counts for _, counts in ranked[MAX_HORIZONS:]]:
        kept.insert(0, (0, [sum(column) for column in zip(*rest, strict=True)]))
    return kept


def _bounded_marks(marks: dict[str, int]) -> list[list[Any]]:
    """Those that are most frequent; the rest are `other`."""
    ranked = sorted(marks.items(), key=lambda item: (-item[1], item[0]))
    kept = dict(ranked[:MAX_MARKS])
    if rest := ranked[MAX_MARKS:]:
        kept[OTHER] = kept.get(OTHER, 0) + sum(count for _, count in rest)
    return [[name, kept[name]] for name in sorted(kept)]


@dataclass(frozen=True)
class WindowRecord:
    """A record that was read."""

    window: WindowId
    version: int
    form: Form
    folded: int
    segments: list[Any]


def decode_window(value: bytes) -> WindowRecord:
    """The record that `encode_window` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    row = from_json(value)
    window_at = datetime.fromisoformat(f"{row['window_at']}+00:00")
    window = WindowId(row["app"], int(window_at.timestamp()) * 1000, row["partition"])
    numbers = (window.window_at, window.partition, row["version"], row["max_segments"], row["folded"])
    if not all(type(number) is int and number >= 0 for number in numbers) or window.window_at % WINDOW_MS:
        raise ValueError("not a window's time, partition or version")
    for segment in row["segments"]:
        if len(segment) != len(LABELS) + len(COUNTS) + 1 + len(MARKS):
            raise ValueError(f"a segment has {len(segment)} columns")
    form = Form(tuple(row["labels"]), row["max_segments"])
    return WindowRecord(window, row["version"], form, row["folded"], row["segments"])


def columns() -> list[str]:
    """The columns of the table of windows, as ClickHouse declares them."""
    horizon = ", ".join(["horizon_s UInt32", *(f"{name} Int64" for name in HORIZON_COUNTS)])
    segment: Collection[str] = (
        *(f"{name} String" for name in LABELS),
        *(f"{name} Int64" for name in COUNTS),
        f"horizons Array(Tuple({horizon}))",
        *(f"{kind}s Array(Tuple(name String, count Int64))" for kind in MARKS),
    )
    return [
        "app LowCardinality(String)",
        "window_at DateTime('UTC')",
        "partition UInt16",
        "version UInt64",
        "labels Array(LowCardinality(String))",
        "max_segments UInt16",
        "folded UInt32",
        f"segments Array(Tuple({', '.join(segment)}))",
    ]
