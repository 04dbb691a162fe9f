"""Windows say what outcomes say (I4): counted again from the outcomes in the store, window by window.

Only what must agree is judged. A window is left out while one of its generations got a fact just now, while outcomes
that it counts have not landed (its version says up to where they go), and while its partition lags: while there are
outcomes that landed a while ago and are in no record, because a worker counts its state anew. What differs is looked at
again: a change of an outcome lands before that of its windows. Windows older than OPEN_MS are closed, and later facts
are not in them; so they are no violation, and `repair_windows` counts them again.

A repaired row has the version of the one that it repairs, and one more: it holds against that one, and later facts hold
against it.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from keeprate.schemas.topics import DAY_MS, OUTCOMES
from keeprate.schemas.window_names import LABELS, OPEN_MS, WINDOW_MS, window_of
from keeprate.schemas.window_record import (
    Form,
    Segments,
    WindowId,
    WindowRecord,
    add,
    decode_window,
    encode_window,
    fold,
    outcomes_end,
    repaired,
)
from keeprate.schemas.windows import contribution, read_labels
from keeprate.sinks.clickhouse import Client, to_ms
from keeprate.sinks.finding import Finding
from keeprate.sinks.recompute import FACTS, ROWS_AS_LISTS, Page, Selection, count_facts, pages, stored, unsettled
from keeprate.sinks.rows import WINDOWS_TABLE
from keeprate.sinks.settling import landed_ends

MAX_SUSPECTS: Final = 20
"""So many windows are looked at again."""
STEP_MS: Final = 6 * 3_600_000
PIECE_FACTS: Final = 50_000
"""Steps are counted together up to so many facts: each piece reads the tables anew, and memory stays bounded."""
_MARGIN_MS: Final = 3_600_000
_PAUSE_S: Final = 1.0


@dataclass
class Counted:
    """Windows counted again. unsettled: those of generations that got a fact just now."""

    windows: dict[WindowId, Segments] = field(default_factory=dict)
    unsettled: set[WindowId] = field(default_factory=set)


@dataclass(frozen=True)
class WindowDifference:
    """A window that is not what its outcomes say. version: of the stored row; 0 where there is none."""

    window: WindowId
    version: int
    row: bytes

    def finding(self) -> Finding:
        at = datetime.fromtimestamp(self.window.window_at / 1000, UTC)
        where = f"window {self.window.app} {at:%F %H:%M}, partition {self.window.partition}"
        return Finding("I4", where, f"its counts, of version {self.version}, are not those of its outcomes")


@dataclass(frozen=True)
class Windows:
    """How windows are compared: over how many partitions, and which generations are left out."""

    store: Client
    partitions: int
    settled_s: int = 60
    offline: bool = False

    def differences(
        self, since_ms: int, until_ms: int, apps: Collection[str] = ()
    ) -> tuple[int, list[WindowDifference]]:
        """How many windows that began in a span could be judged, and those of them that differ."""
        held = _stored(self.store, since_ms, until_ms, apps)
        ends, lagging = landed_ends(self.store, OUTCOMES.name), self._lagging()
        forms = {record.form.labels: record.form for record in held.values()} or {LABELS: Form()}
        counted = {labels: self._count(since_ms, until_ms, apps, labels) for labels in forms}
        form = next(iter(forms.values()))
        judged, found = 0, []
        windows = held.keys() | {window for each in counted.values() for window in each.windows}
        for window in sorted(windows):
            record = held.get(window) or WindowRecord(window, 0, form, 0, [])
            said = counted[record.form.labels]
            landed = ends.get(window.partition, 0) >= outcomes_end(record.version)
            if window not in said.unsettled and window.partition not in lagging and (landed or self.offline):
                judged += 1
                found += _compared(record, said.windows.get(window, {}))
        return judged, found

    def _lagging(self) -> set[int]:
        """Partitions with outcomes that landed a while ago and are in no window's counts."""
        if self.offline:
            return set()
        counted = self.store.query("SELECT partition, max(version) FROM windows GROUP BY partition")
        ends = {int(partition): outcomes_end(int(version)) for partition, version in counted}
        rows = self.store.query(
            "SELECT partition, max(first_offset) FROM ledger WHERE topic = {topic:String} AND rows > 0 "
            "AND stored_at < now64(3) - toIntervalSecond({settled_s:UInt32}) GROUP BY partition",
            {"topic": OUTCOMES.name, "settled_s": self.settled_s},
        )
        return {int(partition) for partition, first in rows if int(first) >= ends.get(int(partition), 0)}

    def repair(self, differences: Iterable[WindowDifference]) -> None:
        """Insert what is recounted."""
        rows = b"".join(one.row + b"\n" for one in differences)
        if rows:
            self.store.insert_bytes(WINDOWS_TABLE.name, (), rows, WINDOWS_TABLE.format, dict(WINDOWS_TABLE.settings))

    def _count(self, since_ms: int, until_ms: int, apps: Collection[str], labels: tuple[str, ...]) -> Counted:
        counted, labels_of = Counted(), read_labels(labels)
        since, until = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (since_ms, until_ms))
        for page in pages(self.store, Selection(list(apps), since=since, until=until)):
            places = _places(self.store, page, self.partitions)
            fresh = unsettled(self.store, page, self.settled_s)
            for key, outcome in stored(self.store, page).items():
                app, generation_id, _ = key.split("/")
                for piece in contribution(key, outcome, labels_of):
                    if since_ms <= piece[0] < until_ms:
                        window = WindowId(app, piece[0], places[generation_id])
                        add(counted.windows.setdefault(window, {}), piece, 1)
                        if f"{app}/{generation_id}" in fresh:
                            counted.unsettled.add(window)
        return counted


def check_windows(
    windows: Windows,
    span_ms: tuple[int, int],
    settled: Callable[[], Collection[int]] | None = None,
    patience_s: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_piece: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, list[Finding]]:
    """I4 for windows that began in a span; how many were judged. on_piece: is told how many pieces are done, and of how
    many.

    settled: waits, and returns the partitions of which all that was written before its call is landed. What differs
    then is looked at for so long before it is a finding.
    """
    judged, suspected = 0, list[WindowDifference]()
    pieces = _pieces(windows.store, *span_ms)
    for number, (since_ms, until_ms) in enumerate(pieces, 1):
        compared, found = windows.differences(since_ms, until_ms)
        judged, suspected = judged + compared, suspected + found
        on_piece(number, len(pieces))
    if suspected and settled is not None:
        arrived, deadline_s = settled(), clock() + patience_s
        suspected = [one for one in suspected if one.window.partition in arrived][:MAX_SUSPECTS]
        while suspected := _still(windows, suspected):
            if clock() >= deadline_s:
                break
            sleep(_PAUSE_S)
    return judged, [one.finding() for one in suspected]


def repair_windows(
    windows: Windows, span_ms: tuple[int, int], on_piece: Callable[[int, int], None] = lambda done, total: None
) -> tuple[int, list[Finding]]:
    """Count windows of a span again and insert those that differ, closed ones too. Findings are what was not closed."""
    judged, repaired_ones = 0, list[WindowDifference]()
    pieces = _pieces(windows.store, *span_ms)
    for number, (since_ms, until_ms) in enumerate(pieces, 1):
        compared, found = windows.differences(since_ms, until_ms)
        windows.repair(found)
        judged, repaired_ones = judged + compared, repaired_ones + found
        on_piece(number, len(pieces))
    open_since_ms, _ = open_span()
    return judged, [one.finding() for one in repaired_ones if one.window.window_at >= open_since_ms]


def open_span(since: datetime | None = None, until: datetime | None = None) -> tuple[int, int]:
    """The windows that began in [since, until) and have been open all the time, in ms."""
    now_ms = time.time_ns() // 1_000_000
    since_ms = max(to_ms(since) if since else 0, now_ms - OPEN_MS + _MARGIN_MS)
    return _aligned(since_ms), window_of(min(to_ms(until) if until else now_ms, now_ms)) + WINDOW_MS


def whole_span(since: datetime | None = None, until: datetime | None = None) -> tuple[int, int]:
    """All windows that began in [since, until) and are not in the future."""
    ahead_ms = time.time_ns() // 1_000_000 + DAY_MS
    return _aligned(to_ms(since) if since else 0), window_of(min(to_ms(until) if until else ahead_ms, ahead_ms))


def bounded_span(store: Client, max_facts: int, turn: int) -> tuple[int, int]:
    """An hour, or else five minutes, of the last six hours; an empty span where that has more than so many facts.

    turn: another number is another part of the six hours.
    """
    end_ms = window_of(time.time_ns() // 1_000_000)
    for length_ms in (12 * WINDOW_MS, WINDOW_MS):
        parts = STEP_MS // length_ms
        since_ms = end_ms - (turn % parts + 1) * length_ms
        span = [datetime.fromtimestamp(ms / 1000, UTC) for ms in (since_ms, since_ms + length_ms)]
        if count_facts(store, Selection(since=span[0], until=span[1])) <= max_facts:
            return since_ms, since_ms + length_ms
    return end_ms, end_ms


def _aligned(at_ms: int) -> int:
    return window_of(at_ms + WINDOW_MS - 1)


def _still(windows: Windows, suspected: list[WindowDifference]) -> list[WindowDifference]:
    """Those that still differ. One that cannot be judged for the moment is looked at again."""
    left = []
    for one in suspected:
        at, app = one.window.window_at, one.window.app
        _, found = windows.differences(at, at + WINDOW_MS, [app])
        left += [each for each in found if each.window == one.window]
    return left


def _pieces(store: Client, since_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """The span in steps, without those of which nothing is known: a clock that is years off makes no empty years.

    Steps that follow each other are one piece as long as they have few facts.
    """
    known = (f"SELECT toUnixTimestamp64Milli(occurred_at) AS at_ms, 1 AS facts FROM {table}" for table in FACTS)
    rows = store.query(
        f"SELECT intDiv(at_ms, {{step_ms:Int64}}), sum(facts) FROM ({' UNION ALL '.join(known)} "
        "UNION ALL SELECT toInt64(toUnixTimestamp(window_at)) * 1000, 0 FROM windows) "
        "WHERE at_ms >= {since_ms:Int64} AND at_ms < {until_ms:Int64} GROUP BY 1 ORDER BY 1",
        {"step_ms": STEP_MS, "since_ms": since_ms, "until_ms": until_ms},
    )
    pieces, held = list[tuple[int, int]](), 0
    for step, facts in rows:
        begin, end = max(since_ms, int(step) * STEP_MS), min(until_ms, (int(step) + 1) * STEP_MS)
        if pieces and pieces[-1][1] == begin and held + facts <= PIECE_FACTS:
            pieces[-1], held = (pieces[-1][0], end), held + facts
        else:
            pieces, held = [*pieces, (begin, end)], facts
    return pieces


def _compared(record: WindowRecord, segments: Segments) -> list[WindowDifference]:
    kept, folded = fold(segments, record.form.max_segments)
    row = encode_window(record.window, repaired(record.version), kept, folded, record.form)
    said = decode_window(row)
    if (said.folded, said.segments) == (record.folded, record.segments):
        return []
    return [WindowDifference(record.window, record.version, row)]


def _stored(store: Client, since_ms: int, until_ms: int, apps: Collection[str]) -> dict[WindowId, WindowRecord]:
    answer = store.query_bytes(
        "SELECT * FROM windows FINAL WHERE window_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC') "
        "AND window_at < fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC') "
        "AND (empty({apps:Array(String)}) OR app IN {apps:Array(String)})",
        {"since_ms": since_ms, "until_ms": until_ms, "apps": list(apps)},
        settings=ROWS_AS_LISTS,
    )
    records = map(decode_window, answer.splitlines())
    return {record.window: record for record in records}


def _places(store: Client, page: Page, partitions: int) -> dict[str, int]:
    """The partitions of a page's generations: their ids are the keys of their records."""
    parameters: dict[str, Any] = {**page.parameters(), "partitions": partitions}
    rows = store.query(
        "SELECT DISTINCT toString(generation_id) AS id, kafkaMurmurHash(id) % {partitions:UInt32} FROM outcomes "
        f"WHERE {page.condition()}",
        parameters,
    )
    return {str(generation_id): int(partition) for generation_id, partition in rows}
