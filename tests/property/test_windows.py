"""Windows are what their outcomes say, whatever the order, the batches, the crashes and what was forgotten."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold as fold_log
from keeprate.schemas.lift import lift
from keeprate.schemas.outcome import decode_outcome, encode_outcome
from keeprate.schemas.topics import DAY_MS
from keeprate.schemas.window_names import COUNTS, LABELS, OPEN_MS
from keeprate.schemas.window_record import Form, Segments, WindowId, add, decode_window, encode_window, fold, version_of
from keeprate.schemas.windows import contribution
from keeprate.streams.expiry import SKEW_MS, Watermark, stamp, stamped_at_ms, value_of
from keeprate.streams.feedback_join import join
from keeprate.streams.state import MemoryState
from keeprate.streams.windows import PartitionWindows
from tests.strategies import events, shuffled_with_duplicates
from tests.windowing import LAGS_MS, START_MS, begun_at, contents, counted, dated, encoded, latest, spread, version

FORMS = [Form(), Form(("model",), 1), Form((), 3)]
NOW_MS = START_MS + 4 * DAY_MS


@dataclass
class Owner:
    """A partition with its changelog, and whoever owns it now."""

    form: Form = field(default_factory=Form)
    now_ms: int = NOW_MS
    state: MemoryState = field(default_factory=MemoryState)
    changelog: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    log: list[Event] = field(default_factory=list)
    published: list[tuple[bytes, bytes]] = field(default_factory=list)
    watermark: Watermark = field(default_factory=Watermark)

    def __post_init__(self) -> None:
        self.windows = PartitionWindows(0, self.state, self.form, self.now_ms)

    def batch(self, arrived: list[Event]) -> None:
        """Join a batch: write it, store it, say so."""
        facts, self.log = fold_log(arrived), self.log + arrived
        kept = self.state.get_many([key.encode() for key in facts])
        known = {key: value for key, value in zip(facts, kept, strict=True) if value is not None}
        held = {key: decode_outcome(value_of(value))[1] for key, value in known.items()}
        outcomes = join(held, facts).outcomes
        if not outcomes:
            return
        times_ms = {key: event["occurred_at"] for event in arrived for key, _ in lift(event)}
        self.watermark.hear(times_ms.values(), self.now_ms)
        values = {key: encode_outcome(key, outcome) for key, outcome in outcomes.items()}
        stamps_ms = {key: min(times_ms[key], self.now_ms + SKEW_MS) for key in values}
        for key in known:
            stamps_ms[key] = max(stamps_ms.get(key, 0), stamped_at_ms(known[key]))
        self.changelog += [(key.encode(), value) for key, value in values.items()]
        stamped = {key.encode(): stamp(value, stamps_ms[key]) for key, value in values.items()}
        self.state.write(stamped, len(self.changelog) - 1)
        self.windows.landed(held, outcomes, len(self.changelog) - 1, complete=True)

    def sweep(self) -> None:
        """Let outcomes go that have expired."""
        before_ms = self.watermark.expired_before_ms(self.now_ms)
        gone = [key for key, stamped in self.state.scan(b"", 10_000) if stamped_at_ms(stamped) < before_ms]
        if gone:
            self.windows.close(before_ms)
            self.changelog += [(key, None) for key in gone]
            self.state.write(dict.fromkeys(gone), len(self.changelog) - 1)

    def crash(self, recovers: bool) -> None:
        """Another owner begins, with the state of before or one that is recovered."""
        if recovers:
            kept = self.state.scan(b"", 10_000)
            self.state = MemoryState()
            # A recovery knows only when the records were written.
            changes = {key: stamp(value_of(stamped), self.now_ms) for key, stamped in kept}
            self.state.write(changes, len(self.changelog) - 1 if self.changelog else None)
        self.watermark = Watermark()
        self.__post_init__()

    def publish(self, walk: int = 10_000) -> list[tuple[bytes, bytes]]:
        """Go on walking; if all is counted, what is published then."""
        if not self.windows.is_complete:
            self.windows.walk(walk, self.now_ms)
        if not self.windows.is_complete:
            return []
        self.windows.begin(self.watermark.expired_before_ms(self.now_ms))
        while not self.windows.count(1):
            pass
        records: list[tuple[bytes, bytes]] = []
        while some := self.windows.take(1000, self.now_ms):
            records += some.items()
        return records

    def outcomes(self) -> dict[str, Any]:
        """All that is known, with nothing forgotten."""
        return fold_log(self.log)

    def differences(self, since_ms: int) -> dict[str, tuple[Any, Any]]:
        """Of the windows since a time and not in the future: those that hold another count than is recomputed."""
        wanted = {
            f"{app}/{at}/0".encode(): encoded(segments, self.form)
            for (app, at), segments in counted(self.outcomes(), self.form).items()
            if since_ms <= at <= self.now_ms
        }
        held = {
            key: contents(record)
            for key, record in latest(self.published).items()
            if since_ms <= int(key.split(b"/")[1]) <= self.now_ms
        }
        nothing = encoded({}, self.form)
        keys = wanted.keys() | held.keys()
        pairs = {key.decode(): (held.get(key, nothing), wanted.get(key, nothing)) for key in keys}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


steps = st.lists(
    st.sampled_from(["batch", "batch", "walk", "publish", "lose", "again", "crash", "recover"]), max_size=12
)


@settings(deadline=None, max_examples=50)
@given(st.data(), spread(), st.sampled_from(FORMS), steps)
def test_published_windows_are_recomputed_ones(
    data: st.DataObject, log: list[Event], form: Form, actions: list[str]
) -> None:
    """Any order, duplicates, batches, crashes while counting, records lost, sent again or late: the same windows."""
    owner, arriving = Owner(form), data.draw(shuffled_with_duplicates(log))
    for action in actions:
        if action == "batch":
            size = data.draw(st.integers(0, len(arriving)))
            owner.batch(arriving[:size])
            arriving = arriving[size:]
        elif action == "walk":
            owner.windows.walk(1, owner.now_ms)
        elif action == "publish":
            owner.published += owner.publish(walk=2)
        elif action == "again" and owner.published:
            # A worker that lost the partition writes what it had.
            owner.published.append(data.draw(st.sampled_from(owner.published)))
        elif action in ("lose", "crash", "recover"):
            # In the first case the records are on their way when it crashes.
            _ = owner.publish() if action == "lose" else None
            owner.crash(action == "recover")
    owner.batch(arriving)
    owner.published += owner.publish()
    assert owner.differences(NOW_MS + SKEW_MS - OPEN_MS) == {}


@settings(deadline=None, max_examples=20)
@given(st.data(), spread(12))
def test_equal_versions_have_equal_counts(data: st.DataObject, log: list[Event]) -> None:
    """Whoever counted them, and when: by changes, or anew from the state."""
    owner = Owner()
    for event in log:
        owner.batch([event])
        owner.published += owner.publish()
        if data.draw(st.booleans()):
            owner.crash(data.draw(st.booleans()))
            owner.published += owner.publish()
    by_version: dict[tuple[bytes, int], Any] = {}
    for key, record in owner.published:
        assert by_version.setdefault((key, version(record)), contents(record)) == contents(record)


def test_a_version_grows_with_the_changelog() -> None:
    """Counts that may lack what another worker wrote are older than those that have it; repairs lie in between."""
    versions = [version_of(offset, complete) for offset in (None, 0, 1) for complete in (False, True)]
    assert sorted(versions) == versions
    assert len(set(versions[2:])) == 4
    assert versions[3] + 1 < versions[4]


ENVELOPE = {"event_id": str(uuid.UUID(int=7)), "schema_version": 1, "app": "chat"}
LATER = st.sampled_from([60_000, 1_800_000, DAY_MS, DAY_MS, 3 * DAY_MS, 9 * DAY_MS])
HAPPENS = st.sampled_from(["", "sweep", "sweep", "publish", "crash", "recover"])
ARRIVES = st.tuples(events(), st.integers(0, 3), st.sampled_from([*LAGS_MS, -7_200_000, -40 * DAY_MS]))
DAYS = st.lists(st.tuples(LATER, HAPPENS, st.lists(ARRIVES, max_size=4)), min_size=1, max_size=10)


def arriving(drawn: list[tuple[Event, int, int]], now_ms: int) -> list[Event]:
    """Events about suggestions that have begun, each so long after it occurred."""
    arrived = []
    for event, number, lag_ms in drawn:
        at_ms = max(now_ms - lag_ms, begun_at(number) - 3_600_000)
        if event["type"] == "generation":
            # Dated days after its own feedback, it would be beyond what is promised.
            at_ms = min(at_ms, begun_at(number) + 3 * DAY_MS)
        if begun_at(number) <= now_ms:
            arrived.append(dated(event, at_ms, number))
    return arrived


@settings(deadline=None, max_examples=40)
@given(DAYS)
def test_what_left_the_state_is_in_no_open_window(life: list[tuple[int, str, list[tuple[Event, int, int]]]]) -> None:
    """Outcomes expire, come back in part, and are counted anew without them: open windows are right all the same."""
    owner = Owner(now_ms=START_MS)
    for later_ms, action, drawn in life:
        owner.now_ms += later_ms
        owner.batch(arriving(drawn, owner.now_ms))
        if action == "sweep":
            owner.sweep()
        elif action in ("crash", "recover"):
            owner.crash(action == "recover")
        if action != "":
            owner.published += owner.publish()
    owner.published += owner.publish()
    assert owner.differences(owner.now_ms + SKEW_MS - OPEN_MS) == {}


@pytest.mark.parametrize("later_h", range(12, 9 * 24, 12))
def test_an_answer_to_what_left_the_state(later_h: int) -> None:
    """A suggestion is accepted, by its client's clock, before its outcome leaves the state; the event comes behind."""
    owner = Owner(now_ms=START_MS)
    generation, accept = (
        dated({**ENVELOPE, **body}, START_MS + hours * 3_600_000, 0)  # type: ignore[arg-type]
        for body, hours in (({"type": "generation"}, 0), ({"type": "action", "action": "accept"}, later_h))
    )
    owner.batch([generation])
    owner.publish()
    owner.now_ms += 8 * DAY_MS + 3_600_000
    owner.batch([dated(generation, owner.now_ms, 1)])
    owner.sweep()
    owner.batch([accept])
    owner.published += owner.publish()
    assert owner.differences(owner.now_ms + SKEW_MS - OPEN_MS) == {}


def test_an_orphan_that_counts_no_more_is_taken_back_by_the_next_owner() -> None:
    """Its only check was replaced by one that is too late to count, and nothing else of its app counts."""
    owner = Owner(now_ms=START_MS + 3 * DAY_MS)
    check = {**ENVELOPE, "type": "retention_check", "horizon_s": 30, "elapsed_ms": 30_000}
    check |= {"status": "unobserved", "reason": "exit"}
    for second in range(2):
        owner.now_ms += 60_000 * second
        owner.batch([dated(check, owner.now_ms, 0)])  # type: ignore[arg-type]
        if second:
            owner.crash(recovers=False)
        owner.published += owner.publish()
    assert owner.differences(owner.now_ms + SKEW_MS - OPEN_MS) == {}


segments = st.dictionaries(
    st.tuples(*[st.sampled_from(["", "a", "b", "other", "x" * 150])] * len(LABELS)),
    st.dictionaries(st.integers(0, len(COUNTS) - 1) | st.sampled_from(["flag/a", 256 * 30 + 3]), st.integers(1, 9)),
    max_size=8,
)


@given(segments, st.integers(1, 5), st.randoms())
def test_folding_loses_no_count(counts: Segments, limit: int, rng: Any) -> None:
    """As many segments as allowed beside other, the same in any order of counting, and the same sums."""
    shuffled = list(counts.items())
    rng.shuffle(shuffled)
    kept, folded = fold(counts, limit)
    assert (kept, folded) == fold(dict(shuffled), limit)
    assert len(kept) <= limit + 1
    sums: dict[Any, int] = {}
    for sign, each in ((1, counts), (-1, kept)):
        for cells in each.values():
            for cell, count in cells.items():
                sums[cell] = sums.get(cell, 0) + sign * count
    assert set(sums.values()) <= {0}


@settings(deadline=None, max_examples=40)
@given(spread())
def test_taking_back_leaves_nothing(log: list[Event]) -> None:
    """All that was counted, taken back in another order."""
    outcomes = fold_log(log)
    windows = counted(outcomes)
    for key in sorted(outcomes, reverse=True):
        for piece in contribution(key, outcomes[key]):
            add(windows[key.split("/")[0], piece[0]], piece, -1)
    assert not any(windows.values())


def test_a_record_comes_back_as_it_was() -> None:
    """Window, version, form and segments."""
    window, form = WindowId("editor", START_MS, 3), Form(("model",), 7)
    record = decode_window(encode_window(window, 5, {("a",) * len(LABELS): {0: 1}}, 2, form))
    assert (record.window, record.version, record.form, record.folded) == (window, 5, form, 2)
    assert record.segments[0][: len(LABELS) + 1] == [*("a",) * len(LABELS), 1]


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"{}", b"null", b'{"app": "a"}', encode_window(WindowId("a", 60_000, 0), 0, {}, 0, Form())]
)
def test_what_is_no_record_is_refused(value: bytes) -> None:
    """With errors that the sink knows."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_window(value)
