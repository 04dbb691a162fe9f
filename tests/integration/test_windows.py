"""Windows in the store against its outcomes: what is wrong is found and repaired, what is on its way is not."""

import random
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeprate.deploy.store import StoreProcess
from keeprate.schemas.decode import encode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import Outcome, encode_outcome
from keeprate.schemas.topics import DAY_MS, OUTCOMES, WINDOWS
from keeprate.schemas.window_names import WINDOW_MS
from keeprate.schemas.window_record import Form, WindowId, encode_window, version_of
from keeprate.schemas.window_record import fold as fold_segments
from keeprate.sinks.clickhouse import Client, connect
from keeprate.sinks.flush import INSERT_SETTINGS, LEDGER_COLUMNS
from keeprate.sinks.migrate import migrate
from keeprate.sinks.recount import Touched, recount
from keeprate.sinks.rows import Record, sort
from keeprate.sinks.windows import STEP_MS, Windows, check_windows, open_span, repair_windows, whole_span
from tests.streaming import story
from tests.unit.sinks.records import FakeRecord
from tests.windowing import counted

PARTITIONS = 4
FORM = Form(("model",), 1)


@pytest.fixture
def client(store: StoreProcess) -> Iterator[Client]:
    """A database of the test's own, migrated."""
    url = f"{store.url}/windows_{uuid.uuid4().hex[:8]}"
    migrate(url)
    with connect(url) as own:
        yield own


@pytest.fixture
def log() -> list[Event]:
    """Events of the last minutes, and of a window that is closed."""
    now_ms = int(time.time() * 1000)
    recent = story(random.Random(4), "editor", 40, now_ms - 900_000)
    return recent + story(random.Random(5), "closed", 5, now_ms - 9 * DAY_MS)


def land(client: Client, topic: str, values: list[bytes]) -> None:
    records: list[Record] = [FakeRecord(n, value, source=topic) for n, value in enumerate(values)]
    for table, rows in sort(topic, 0, records).tables.items():
        if len(rows):
            settings = {**INSERT_SETTINGS, **dict(table.settings)}
            client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, settings)


def land_outcomes(client: Client, log: list[Event], first: int = 0) -> None:
    """Facts and outcomes, a range of the ledger for each partition, ten offsets long."""
    land(client, "keeprate.feedback", [encode(event) for event in log])
    land(client, OUTCOMES.name, [encode_outcome(*item) for item in fold(log).items()])
    rows = [("s", OUTCOMES.name, number, first, first + 9, 10, 0, 0, 0, 9, "") for number in range(PARTITIONS)]
    client.insert("ledger", LEDGER_COLUMNS, rows)


def land_windows(client: Client, log: list[Event], offset: int = 9) -> None:
    """The windows that a worker publishes of a log once it has all up to an offset of each partition."""
    by_partition: dict[int, dict[str, Outcome]] = defaultdict(dict)
    query = "SELECT arrayJoin({ids:Array(String)}) AS id, kafkaMurmurHash(id) % 4"
    ids = [event["generation_id"] for event in log]
    hashes = {str(identity): int(number) for identity, number in client.query(query, {"ids": ids})}
    for key, outcome in fold(log).items():
        by_partition[hashes[key.split("/")[1]]][key] = outcome
    version = version_of(offset, complete=True)
    records = [
        encode_window(WindowId(*at, number), version, *fold_segments(segments, FORM.max_segments), FORM)
        for number, outcomes in by_partition.items()
        for at, segments in counted(outcomes, FORM).items()
    ]
    land(client, WINDOWS.name, records)


def check(client: Client, settled_s: int = 0) -> tuple[int, list[str]]:
    judged, findings = check_windows(Windows(client, PARTITIONS, settled_s), open_span())
    return judged, [finding.where.split()[1] for finding in findings]


def test_windows_that_agree_have_no_findings(client: Client, log: list[Event]) -> None:
    """Also of a worker that was told to tell less apart. What is closed is not looked at."""
    land_outcomes(client, log)
    land_windows(client, log)
    judged, findings = check(client)
    assert (judged > 0, findings) == (True, [])


def test_wrong_and_lost_windows_are_found_and_repaired(client: Client, log: list[Event]) -> None:
    """A repaired row holds against the wrong one; later facts hold against the repaired one."""
    land_outcomes(client, log)
    land_windows(client, log)
    client.command("DELETE FROM windows WHERE partition = 2 AND app = 'editor'")
    wrong = encode_window(WindowId("editor", open_span()[0], 1), version_of(8, True), {("a",) * 6: {0: 5}}, 0, Form())
    land(client, WINDOWS.name, [wrong])
    assert set(check(client)[1]) == {"editor"}
    assert repair_windows(Windows(client, PARTITIONS, 0), whole_span())[1]
    assert check(client)[1] == []
    more = story(random.Random(6), "editor", 40, int(time.time() * 1000) - 900_000)
    land_outcomes(client, log + more, first=10)
    land_windows(client, log + more, offset=19)
    assert check(client)[1] == []


def test_history_gets_its_windows_by_repair(client: Client, log: list[Event]) -> None:
    """What no worker published, because it was closed, is counted from the store; that it was missing is no finding."""
    land_outcomes(client, log)
    land_windows(client, [event for event in log if event["app"] == "editor"])
    assert repair_windows(Windows(client, PARTITIONS, 0), whole_span())[1] == []
    closed = [event for event in log if event["app"] == "closed"]
    found = client.query("SELECT count() FROM windows FINAL WHERE app = 'closed' AND notEmpty(segments)")
    assert found[0][0] >= len(counted(fold(closed)))


def touched(log: list[Event]) -> Touched:
    """The windows in which the outcomes of a log count."""
    windows = Touched()
    windows.add(fold(log).items())
    return windows


def test_windows_of_replayed_outcomes_are_counted_again(client: Client, log: list[Event]) -> None:
    """Open and closed ones; a dry run says how many, and after it was done none differs."""
    land_outcomes(client, log)
    land_windows(client, log)
    client.command("ALTER TABLE windows UPDATE segments = [] WHERE 1 SETTINGS mutations_sync = 2")
    windows, of_log = Windows(client, PARTITIONS, 0), touched(log)
    dry = recount(windows, of_log)
    assert dry.compared >= dry.differing + dry.closed
    assert dry.differing > 0 < dry.closed
    assert dry == recount(windows, of_log), "a dry run wrote"
    done = recount(windows, of_log, writes=True)
    assert done.written == dry.differing + dry.closed
    after = recount(windows, of_log)
    assert (after.compared, after.differing, after.closed) == (dry.compared, 0, 0)
    assert check(client)[1] == []


def test_only_windows_of_replayed_outcomes_are_counted_again(client: Client, log: list[Event]) -> None:
    """Another app's stay as they are, and so do those of another time."""
    land_outcomes(client, log)
    land_windows(client, log)
    client.command("ALTER TABLE windows UPDATE segments = [] WHERE 1 SETTINGS mutations_sync = 2")
    recount(Windows(client, PARTITIONS, 0), touched([event for event in log if event["app"] == "closed"]), writes=True)
    query = "SELECT DISTINCT app FROM windows FINAL WHERE notEmpty(segments)"
    assert client.query(query) == [("closed",)]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2000)), max_size=60))
def test_spans_hold_every_window_once(windows: list[tuple[str, int]]) -> None:
    """In order and apart from each other, and none is much longer than what is counted at once."""
    these = Touched()
    for app, number in windows:
        these.add([(f"{app}/0190a000-0000-7000-8000-000000000000/0", {"first_at": {"shown": number * WINDOW_MS}})])
    wanted = {(app, piece) for app, pieces in these._begins.items() for piece in pieces}
    spans = list(these.spans())
    assert spans == sorted(spans)
    assert all(end - begin <= STEP_MS + WINDOW_MS for _, begin, end in spans)
    assert all(left[0] != right[0] or left[2] <= right[1] for left, right in pairwise(spans))
    assert all(sum(app == each and begin <= at < end for each, begin, end in spans) == 1 for app, at in wanted)
    assert len(wanted) == len(set(windows))


def test_what_is_on_its_way_is_not_judged(client: Client, log: list[Event]) -> None:
    """Facts of a moment ago; windows that count more than has landed; a partition that is being counted anew."""
    land_outcomes(client, log)
    assert check(client, settled_s=600) == (0, [])
    land_outcomes(client, log, first=10)
    land_windows(client, log[: len(log) // 2], offset=9)
    assert check(client) == (0, [])
    land_windows(client, log, offset=25)
    assert check(client) == (0, [])


def test_a_second_look_decides(client: Client, log: list[Event]) -> None:
    """A change of windows may land while it is waited for."""
    land_outcomes(client, log)
    land_windows(client, log[: len(log) // 2], offset=9)
    windows = Windows(client, PARTITIONS, 0)
    arrived = iter([None])
    judged, findings = check_windows(
        windows,
        open_span(),
        settled=lambda: range(PARTITIONS),
        patience_s=9.0,
        clock=lambda: 0.0,
        sleep=lambda _: land_windows(client, log, offset=9) or next(arrived),  # type: ignore[func-returns-value]
    )
    assert (judged > 0, findings) == (True, [])
