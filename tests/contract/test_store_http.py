"""The store keeps ClickHouse's HTTP contract with its unmodified client."""

import concurrent.futures
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from keeprate.deploy.local.process import ProcessError
from keeprate.deploy.store import StoreProcess, serve
from keeprate.deploy.store.codec import encoder
from keeprate.deploy.store.token import own_token
from keeprate.sinks.store.local_store import USER

_TABLE = (
    "CREATE TABLE events (id UInt64, name String, at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY id "
    "SETTINGS non_replicated_deduplication_window = 100"
)
_AT_MS = 1_764_000_000_000


def _connect(store: StoreProcess, database: str = "default", **more: Any) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1", port=store.port, username=USER, password=own_token(store.path), database=database, **more
    )


@pytest.fixture
def database(store: StoreProcess) -> Iterator[str]:
    """The name of a database of the test's own, with the table of events in it."""
    name = f"test_{uuid.uuid4().hex}"
    client = _connect(store)
    client.command(f"CREATE DATABASE {name}")
    _connect(store, name).command(_TABLE)
    yield name
    client.command(f"DROP DATABASE {name} SYNC")
    client.close()


@pytest.fixture
def client(store: StoreProcess, database: str) -> Iterator[Client]:
    """A client in the test's own database."""
    client = _connect(store, database)
    yield client
    client.close()


def _json_rows(first: int, count: int) -> bytes:
    return b"".join(
        b'{"id":%d,"name":"n%d","at":"2025-11-24 16:00:00.000"}\n' % (i, i) for i in range(first, first + count)
    )


def _count(client: Client) -> int:
    counted = client.command("SELECT count() FROM events")
    assert isinstance(counted, int)
    return counted


def test_the_client_connects_to_a_server_in_utc(client: Client) -> None:
    """The version is the engine's, and no answer depends on the time zone of the machine."""
    assert int(str(client.server_version).split(".")[0]) >= 26
    assert str(client.server_tz) == "UTC"
    assert client.ping()


def test_native_inserts_come_back_as_they_went(client: Client) -> None:
    """Columns go in as Native blocks and rows come out."""
    summary = client.insert(
        "events", [[1, "één", _AT_MS], [2, "\x00\n'", _AT_MS + 1]], column_names=["id", "name", "at"]
    )
    assert summary.written_rows == 2
    rows = client.query("SELECT id, name, toUnixTimestamp64Milli(at) FROM events ORDER BY id").result_rows
    assert rows == [(1, "één", _AT_MS), (2, "\x00\n'", _AT_MS + 1)]


@pytest.mark.parametrize("compression", [None, "gzip", "lz4", "zstd"])
def test_raw_json_inserts_in_every_coding(client: Client, compression: str | None) -> None:
    """With a coding the statement moves into the URL and the body is all data."""
    encode, _ = encoder(compression)
    body = encode(_json_rows(0, 1000)) + encode.flush()
    client.raw_insert("events", insert_block=body, fmt="JSONEachRow", compression=compression)
    assert client.command("SELECT sum(id) FROM events WHERE name = concat('n', toString(id))") == 499_500


@pytest.mark.parametrize("compress", [False, "gzip", "lz4", "zstd"])
def test_answers_come_in_the_coding_the_client_asks_for(store: StoreProcess, compress: bool | str) -> None:
    """The same numbers, whichever way they are packed, both whole and as a stream."""
    client = _connect(store, compress=compress)
    select = "SELECT number, toString(number) FROM numbers(100000)"
    assert client.query(select).result_columns[0][-1] == 99_999
    with client.query_rows_stream(select) as stream:
        assert sum(row[0] for row in stream) == 4_999_950_000
    client.close()


def test_parameters_are_bound_by_the_engine(client: Client) -> None:
    """Quotes, tabs, lists and identifiers arrive as they were meant."""
    asked = "SELECT {word:String}, {list:Array(String)}, {number:UInt64} FROM {table:Identifier}"
    client.insert("events", [[1, "a", _AT_MS]])
    parameters = {"word": "it's\ta \\ test", "list": ["a'b", "c\nd"], "number": 2**64 - 1, "table": "events"}
    assert client.query(asked, parameters=parameters).result_rows == [("it's\ta \\ test", ["a'b", "c\nd"], 2**64 - 1)]


def test_parameters_too_long_for_a_url_come_as_a_form(client: Client) -> None:
    """The client turns to a form by itself, and nothing is lost on the way."""
    ids = [str(uuid.UUID(int=number)) for number in range(5000)]
    asked = "SELECT length({ids:Array(String)}), {ids:Array(String)}[5000]"
    assert client.query(asked, parameters={"ids": ids}).result_rows == [(5000, ids[-1])]


def test_settings_hold_for_one_request_only(client: Client) -> None:
    """The next request on the same connection has the defaults again."""
    asked = "SELECT getSetting('max_block_size')"
    default = client.command(asked)
    assert client.command(asked, settings={"max_block_size": 1234}) == 1234
    assert client.command(asked) == default


def test_a_deduplication_token_makes_a_retry_harmless(client: Client) -> None:
    """The same token inserts once, also when the bytes were cut differently; another token inserts again."""
    rows = _json_rows(0, 100)
    for token in ("sink/topic/0/0-99", "sink/topic/0/0-99", "sink/topic/0/100-199"):
        client.raw_insert(
            "events", insert_block=rows, fmt="JSONEachRow", settings={"insert_deduplication_token": token}
        )
    assert _count(client) == 200


def test_errors_carry_clickhouses_code_and_name(client: Client) -> None:
    """Nobody has to read the text of an error."""
    with pytest.raises(DatabaseError) as unknown:
        client.query("SELECT * FROM nothing")
    assert (unknown.value.code, unknown.value.name) == (60, "UNKNOWN_TABLE")
    with pytest.raises(DatabaseError) as wrong:
        client.command("SELEKT 1")
    assert (wrong.value.code, wrong.value.name) == (62, "SYNTAX_ERROR")
    with pytest.raises(DatabaseError) as setting:
        client.raw_query("SELECT 1", settings={"no_such_setting": 1})
    assert setting.value.code == 115


def test_a_bad_row_fails_its_insert_as_a_whole(client: Client) -> None:
    """A large body is read to its end first, so the client sees the error and not a broken connection."""
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert("events", insert_block=_json_rows(0, 50_000) + b'{"id":"x"}\n', fmt="JSONEachRow")
    assert caught.value.code == 27
    with pytest.raises(DatabaseError) as missing:
        client.raw_insert("nothing", insert_block=_json_rows(0, 100_000), fmt="JSONEachRow")
    assert missing.value.code == 60
    assert _count(client) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ALTER TABLE events ADD CONSTRAINT small CHECK id < 5", 469),
        ("CREATE MATERIALIZED VIEW v ENGINE = Null AS SELECT throwIf(id = 5) FROM events", 395),
        ("ALTER TABLE events MODIFY SETTING parts_to_throw_insert = 1", 252),
    ],
)
def test_what_fails_while_rows_are_written_is_an_error(client: Client, change: str, code: int) -> None:
    """A constraint, a view that throws and too many parts: the client learns of it."""
    client.command("SYSTEM STOP MERGES events")
    client.raw_insert("events", insert_block=_json_rows(0, 1), fmt="JSONEachRow")
    client.command(change)
    with pytest.raises(DatabaseError) as raw:
        client.raw_insert("events", insert_block=_json_rows(5, 1), fmt="JSONEachRow")
    with pytest.raises(DatabaseError) as native:
        client.insert("events", [[5, "n", _AT_MS]], column_names=["id", "name", "at"])
    assert (raw.value.code, native.value.code) == (code, code)


def test_data_may_hold_any_byte(client: Client) -> None:
    """Quotes, semicolons, newlines and zeros in binary data are data."""
    names = [bytes((n, 0x3B, 0x0A, 0, 0x27, n)) for n in range(256)]
    rows = b"".join(n.to_bytes(8, "little") + b"\x06" + name + bytes(8) for n, name in enumerate(names))
    client.raw_insert("events", insert_block=rows, fmt="RowBinary")
    stored = client.raw_query("SELECT hex(name) FROM events ORDER BY id FORMAT TSV").decode().split()
    assert stored == [name.hex().upper() for name in names]


def test_a_query_that_fails_under_way_breaks_its_answer_off(store: StoreProcess) -> None:
    """No client takes half an answer for a whole one."""
    query = "SELECT throwIf(number = 5000000) FROM numbers(10000000) FORMAT Native"
    with httpx.stream("POST", store.url, content=query, trust_env=False) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_a_client_that_goes_away_ends_its_query(store: StoreProcess) -> None:
    """An endless SELECT does not outlive its reader."""
    endless = "SELECT number FROM system.numbers FORMAT Native"
    with httpx.stream("POST", store.url, content=endless, trust_env=False) as answer:
        blocks = answer.iter_raw()
        assert next(blocks)
        assert _running(store, "system.numbers")
    deadline = time.monotonic() + 20
    while _running(store, "system.numbers"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_queries_and_inserts_run_side_by_side(store: StoreProcess, database: str) -> None:
    """Eight clients at once lose nothing and disturb nobody's database or settings."""

    def work(worker: int) -> int:
        client = _connect(store, database)
        for batch in range(5):
            client.raw_insert("events", insert_block=_json_rows(worker * 500 + batch * 100, 100), fmt="JSONEachRow")
            assert client.command("SELECT getSetting('max_block_size')", settings={"max_block_size": 100 + worker}) == (
                100 + worker
            )
        counted = client.command(f"SELECT count() FROM events WHERE intDiv(id, 500) = {worker}")
        client.close()
        assert isinstance(counted, int)
        return counted

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [500] * 8


def test_plain_http_works_without_a_client_library(store: StoreProcess, database: str) -> None:
    """What curl would send: a query in the URL, a body of data, ClickHouse's headers in the answer."""
    with httpx.Client(base_url=store.url, params={"database": database}, trust_env=False) as http:
        inserted = http.post("/", params={"query": "INSERT INTO events FORMAT JSONEachRow"}, content=_json_rows(0, 3))
        assert inserted.status_code == 200
        assert '"written_rows": "3"' in inserted.headers["X-ClickHouse-Summary"]
        assert http.post("/", params={"query": "INSERT INTO events VALUES"}, content="(9, 'v', 0)").status_code == 200
        answer = http.get("/", params={"query": "SELECT id, name FROM events ORDER BY id", "query_id": "mine"})
        assert answer.text == "0\tn0\n1\tn1\n2\tn2\n9\tv\n"
        assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
        assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
        assert answer.headers["X-ClickHouse-Timezone"] == "UTC"
        as_json = http.post("/", params={"default_format": "JSON"}, content="SELECT max(id) AS last FROM events")
        assert as_json.json()["data"] == [{"last": 9}]
        assert http.get("/ping").text == "Ok.\n"


def test_get_changes_nothing(store: StoreProcess, database: str) -> None:
    """A link that is followed must not drop a table."""
    with httpx.Client(base_url=store.url, params={"database": database}, trust_env=False) as http:
        refused = http.get("/", params={"query": "DROP TABLE events"})
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "164")
        assert http.get("/", params={"query": "EXISTS events"}).text == "1\n"


def test_a_page_in_a_browser_gets_nothing(store: StoreProcess) -> None:
    """Loopback is open to every program of this machine, but not to every site its browser visits."""
    answer = httpx.post(store.url, content="SELECT 1", headers={"Origin": "https://example.org"}, trust_env=False)
    assert answer.status_code == 403


@pytest.mark.clickhouse
def test_data_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    """What an INSERT was answered for is there after SIGTERM and after SIGKILL."""
    with StoreProcess(tmp_path / "data") as store:
        # Not in `default`, where the engine would look for files.
        _connect(store).command("CREATE DATABASE kept")
        _connect(store, "kept").command(_TABLE)
        for first, end in ((0, store.kill), (100, store.stop), (200, store.kill)):
            _connect(store, "kept").raw_insert("events", insert_block=_json_rows(first, 100), fmt="JSONEachRow")
            end()
            store.start()
            assert _connect(store, "kept").command("SELECT count(), sum(id) FROM events") == [
                str(first + 100),
                str(sum(range(first + 100))),
            ]


@pytest.mark.clickhouse
def test_a_stop_lets_a_running_query_finish(tmp_path: Path) -> None:
    """SIGTERM takes no answer away from a client that waits for it."""
    with StoreProcess(tmp_path / "data") as store, concurrent.futures.ThreadPoolExecutor(1) as pool:
        client = _connect(store)
        slow = pool.submit(client.command, "SELECT sum(sleepEachRow(0.1)) FROM numbers(15) SETTINGS max_block_size = 1")
        while not _running(store, "sleepEachRow"):
            time.sleep(0.02)
        assert store.pid is not None
        os.kill(store.pid, signal.SIGTERM)
        assert slow.result(timeout=20) == 0


def _running(store: StoreProcess, word: str) -> bool:
    found = "SELECT count() FROM system.processes WHERE query LIKE {like:String} AND query NOT LIKE '%processes%'"
    return _connect(store).command(found, parameters={"like": f"%{word}%"}) != 0


@pytest.mark.clickhouse
def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """A second store says who has the directory instead of damaging it."""
    with StoreProcess(tmp_path / "data") as first:
        second = StoreProcess(tmp_path / "data")
        with pytest.raises(ProcessError, match=f"is open in process {first.pid}"):
            second.start()


def test_the_store_listens_on_loopback_only(tmp_path: Path) -> None:
    """A token that crosses a network in the clear is no token, so there is no other address."""
    with pytest.raises(ValueError, match="loopback only"):
        serve(tmp_path, "0.0.0.0", 1)
