"""Nothing but the store is reached through the store's door, by nobody who has no token, and no query holds it."""

import base64
import concurrent.futures
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from keeprate.deploy.local.process import free_port
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.store.token import own_token, url_with_token
from keeprate.sinks.store.clickhouse import SchemaMismatchError, connect

SECRET = "the-secret-of-another-program"
QUERY_S = 30
_HTTP = httpx.Client(trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store of these tests' own, with limits to meet and a table to read."""
    limits = ("--query-seconds", str(QUERY_S), "--query-memory", str(256 << 20))
    with StoreProcess(tmp_path_factory.mktemp("door") / "data", arguments=limits) as store:
        _post(store, "CREATE DATABASE d", database="default")
        _post(store, "CREATE TABLE d.t (a String) ENGINE = MergeTree ORDER BY a")
        _post(store, "INSERT INTO d.t VALUES ('row')")
        yield store


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of another program, with a file worth reading."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "row.tsv").write_text(f"{SECRET}\n")
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def _hung_up() -> Iterator[None]:
    yield
    _HTTP.close()


def _post(store: StoreProcess, statement: str | bytes, **arguments: str) -> httpx.Response:
    return _HTTP.post(store.url, params={"database": "d"} | arguments, content=statement)


def _get(store: StoreProcess, query: str, **arguments: str) -> httpx.Response:
    return _HTTP.get(store.url, params={"query": query, "database": "d"} | arguments)


# {f} is a file with the secret, {w} one to be written, {dir} the directory of both, {port} where nothing listens.
READS = [
    "SELECT * FROM file('{f}', 'LineAsString')",
    "SELECT * FROM FILE('{f}', 'LineAsString')",
    "SELECT * FROM `file`('{f}', 'LineAsString')",
    "SELECT * FROM \"file\"('{f}', 'LineAsString')",
    "SELECT * FROM /* file */ file /* ( */ ('{f}', 'LineAsString')",
    "SELECT * FROM -- a comment\nfile('{f}', 'LineAsString')",
    "SELECT file('{f}')",
    "SELECT `file`('{f}')",
    r"SELECT `fi\x6ce`('{f}')",
    r"SELECT `\file`('{f}')",
    r"SELECT `fi\Nle`('{f}')",
    r"SELECT \"fi\Nle\"('{f}')",
    "SELECT “file”('{f}')",
    "SELECT * FROM “values”('a String, b String DEFAULT file(''{f}'')', ('x', 'y'))",
    "SELECT * FROM “format”(JSONEachRow, 'a String, b String DEFAULT file(''{f}'')', '{{\"a\":1}}')",
    r"SELECT * FROM `val\Nues`('a String, b String DEFAULT file(''{f}'')', ('x', 'y'))",
    "SELECT 1, 2, file('{f}')",
    "SELECT 1 AS x, arrayMap(file, ['{f}'])",
    "SELECT * APPLY(file) FROM values('a String', '{f}')",
    "SELECT * APPLY file FROM values('a String', '{f}')",
    "WITH file AS f SELECT arrayMap(f, ['{f}'])",
    "SELECT (SELECT file('{f}'))",
    "SELECT a FROM d.t WHERE throwIf(file('{f}') != '')",
    "EXPLAIN SYNTAX SELECT file('{f}')",
    "DESCRIBE TABLE file('{f}')",
    "DESCRIBE file('{f}', 'LineAsString')",
    "EXISTS file('{f}')",
    "SELECT * FROM '{f}'",
    "SELECT * FROM `{f}`",
    "SELECT * FROM default.`{f}`",
    "SELECT * FROM merge('default', '.*')",
    "SELECT * FROM view(SELECT file('{f}'))",
    "SELECT * FROM loop(file('{f}', 'LineAsString')) LIMIT 1",
    "SELECT * FROM fileCluster('default', '{f}', 'LineAsString')",
    "SELECT * FROM filesystem('{dir}')",
    "SELECT * FROM format(JSONEachRow, 'a String, b String DEFAULT file(''{f}'')', '{{\"a\":1}}')",
    "SELECT * FROM values('a String, b String DEFAULT file(''{f}'')', ('x', 'y'))",
    "SELECT a, b FROM values('a String, b String ALIAS file(''{f}'')', ('x'))",
    "SELECT * FROM generateRandom('a String DEFAULT file(''{f}'')') LIMIT 1",
    "SELECT * FROM eval('SELECT file(''{f}'')') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('{f}')))",
    "SELECT * FROM python(sys)",
    "SELECT * FROM executable('../../../../../bin/cat', 'TSV', 'a String', '{f}')",
    "SELECT * FROM sqlite('{f}', 't')",
    "SELECT * FROM icebergLocal('{dir}')",
    "SELECT * FROM deltaLakeLocal('{dir}')",
    "SELECT a FROM d.t SETTINGS select = 'file(''{f}'')'",
    "SELECT a FROM d.t SETTINGS filter = 'throwIf(file(''{f}'') != '''')'",
    "SELECT a FROM d.t SETTINGS order = 'throwIf(file(''{f}'') != '''')'",
    "SELECT a FROM d.t SETTINGS additional_result_filter = 'throwIf(file(''{f}'') != '''')'",
    "SELECT a FROM d.t SETTINGS additional_table_filters = {{'d.t': 'throwIf(file(''{f}'') != '''')'}}",
    "SELECT 'x' AS a FORMAT Template SETTINGS format_template_row = '{f}'",
    "SELECT 'x' AS a FORMAT Template SETTINGS format_template_resultset = '{f}'",
    "SELECT 'x' AS a FORMAT Protobuf SETTINGS format_schema = '{f}:M'",
    "SELECT 1 SETTINGS dialect = 'prql'",
    "SET dialect = 'kusto'",
    "INSERT INTO d.t FROM INFILE '{f}' FORMAT LineAsString",
    "INSERT INTO d.t FROM/**/INFILE '{f}' FORMAT LineAsString",
    "INSERT INTO d.t VALUES (file('{f}'))",
    "INSERT INTO d.t SELECT file('{f}')",
    "INSERT INTO d.t SELECT b FROM values('a String, b String ALIAS file(''{f}'')', ('x'))",
    "INSERT INTO d.t (a) SELECT * FROM d.t WHERE a IN values('a String ALIAS file(''{f}'')', ('x'))",
    "INSERT INTO FUNCTION values('a String ALIAS file(''{f}'')', ('x')) VALUES ('x')",
    "INSERT INTO d.t SELECT * FROM file('{f}', 'LineAsString')",
    "INSERT INTO d.t SELECT b FROM input('a String, b String DEFAULT file(''{f}'')') FORMAT JSONEachRow {{\"a\":1}}",
    "CREATE VIEW d.v AS SELECT file('{f}')",
    "CREATE MATERIALIZED VIEW d.v TO d.t AS SELECT file('{f}') AS a FROM d.t",
    "CREATE TABLE d.x (a String DEFAULT file('{f}')) ENGINE = Memory",
    "CREATE TABLE d.x AS file('{f}', 'LineAsString')",
    "CREATE TABLE d.x (a String) ENGINE = File(LineAsString, '{f}')",
    "CREATE TABLE d.x (a String) ENGINE File(LineAsString, '{f}')",
    "CREATE TABLE d.x (a String) ENGINE = `FileLog`('{dir}', 'LineAsString')",
    "CREATE TABLE d.x (a String) ENGINE = EmbeddedRocksDB(0, '{w}') PRIMARY KEY a",
    "CREATE TABLE d.x (a String) ENGINE = Executable('x', 'TSV')",
    "CREATE TEMPORARY TABLE x (a String) ENGINE = File(LineAsString, '{f}')",
    "CREATE DATABASE x ENGINE = Filesystem('{dir}')",
    "CREATE DATABASE x ENGINE = SQLite('{f}')",
    "CREATE DICTIONARY d.x (a String) PRIMARY KEY a SOURCE(FILE(PATH '{f}' FORMAT 'TSV')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE FUNCTION x AS a -> file(a)",
    "CREATE NAMED COLLECTION x AS path = '{f}'",
    "ALTER TABLE d.t ADD COLUMN b String DEFAULT file('{f}')",
    "ALTER TABLE d.t UPDATE a = file('{f}') WHERE 1",
    "ATTACH TABLE d.x FROM '{dir}' (a String) ENGINE = MergeTree ORDER BY a",
    "ATTACH TABLE d.x UUID '00000000-0000-0000-0000-000000000001' (a String) ENGINE = File(LineAsString, '{f}')",
    "RESTORE TABLE d.t FROM File('{dir}')",
]
WRITES = [
    "SELECT 1 INTO OUTFILE '{w}'",
    "SELECT 1 into outfile '{w}' FORMAT CSV",
    "SELECT 1 INTO/**/OUTFILE '{w}'",
    "SELECT 1 INTO -- '\nOUTFILE '{w}'",
    "SELECT 1 INTO # x\nOUTFILE '{w}'",
    "SELECT 1\u00a0INTO\u3000OUTFILE '{w}'",
    "SELECT '-- ' INTO OUTFILE '{w}'",
    "SELECT '\\'' INTO OUTFILE '{w}' -- '",
    "SELECT '''' INTO OUTFILE '{w}'",
    "SELECT $x$ ' $x$ INTO OUTFILE '{w}'",
    "SELECT `'` FROM (SELECT 1 AS `'`) INTO OUTFILE '{w}'",
    "SELECT 1 AS \"it's\" INTO OUTFILE '{w}'",
    "SELECT /* /* */ 1 INTO OUTFILE '{w}' /* */ */",
    "SELECT 1; SELECT 1 INTO OUTFILE '{w}'",
    "SELECT 1;;SELECT 1 INTO OUTFILE '{w}'",
    "SELECT 1 UNION ALL SELECT 1 INTO OUTFILE '{w}'",
    "(SELECT 1) INTO OUTFILE '{w}'",
    "SHOW TABLES INTO OUTFILE '{w}'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{w}'",
    "INSERT INTO d.t VALUES ('a'); SELECT 1 INTO OUTFILE '{w}'",
    "INSERT INTO d.t VALUES ('it''s'); SELECT 1 INTO OUTFILE '{w}'",
    "SELECT 1 SETTINGS max_threads = 1 INTO OUTFILE '{w}' AND STDOUT",
    "SELECT 1 AS x FORMAT Protobuf SETTINGS output_format_schema = '{w}'",
    "INSERT INTO FUNCTION file('{w}', 'TSV', 'a String') VALUES ('x')",
    "INSERT INTO TABLE FUNCTION file('{w}', 'TSV', 'a String') SELECT 'x'",
    "CREATE TABLE d.x (a String) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{w}/')",
    "CREATE TABLE d.x (a String) ENGINE = MergeTree ORDER BY a SETTINGS disk = `disk`(type = local, path = '{w}/')",
    "ALTER TABLE d.t MODIFY SETTING disk = disk(type = local, path = '{w}/')",
    "BACKUP TABLE d.t TO File('{w}')",
    "BACKUP TABLE d.t TO Disk('default', 'x')",
    "SELECT 1 SETTINGS input_format_record_errors_file_path = '{w}'",
]
ADDRESSES = [
    "SELECT * FROM url('http://127.0.0.1:{port}/', 'LineAsString')",
    "SELECT * FROM urlCluster('default', 'http://127.0.0.1:{port}/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:{port}/bucket/x', 'LineAsString')",
    "SELECT * FROM gcs('http://127.0.0.1:{port}/bucket/x', 'LineAsString')",
    "SELECT * FROM iceberg('http://127.0.0.1:{port}/bucket/x')",
    "SELECT * FROM hudi('http://127.0.0.1:{port}/bucket/x')",
    "SELECT * FROM remote('127.0.0.1:{port}', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1:{port}', system.one)",
    "SELECT * FROM mysql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('127.0.0.1:{port}', 'd', 't', 'u', 'p', 'a String')",
    "SELECT * FROM redis('127.0.0.1:{port}', 'k', 'k String')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:{port}/x', 'TSV', 'a String')",
    "SELECT * FROM jdbc('a', 'b', 'c')",
    "SELECT * FROM odbc('a', 'b', 'c')",
    "CREATE TABLE d.x (a String) ENGINE = URL('http://127.0.0.1:{port}/', 'TSV')",
    "CREATE TABLE d.x (a String) ENGINE = Kafka('127.0.0.1:{port}', 't', 'g', 'TSV')",
    "CREATE TABLE d.x (a String) ENGINE = MergeTree ORDER BY a "
    "SETTINGS disk = disk(type = web, endpoint = 'http://127.0.0.1:{port}/')",
    "CREATE DATABASE x ENGINE = MySQL('127.0.0.1:{port}', 'd', 'u', 'p')",
    "CREATE DATABASE x ENGINE = S3('http://127.0.0.1:{port}/')",
    "SELECT 1 SETTINGS format_avro_schema_registry_url = 'http://127.0.0.1:{port}/'",
    "SELECT aiGenerate('x', map())",
    "SYSTEM SHUTDOWN",
    "SYSTEM KILL",
    "SYSTEM RELOAD CONFIG",
    "CREATE USER x IDENTIFIED WITH no_password",
]


@pytest.mark.parametrize("statement", [*READS, *WRITES, *ADDRESSES])
def test_no_statement_leaves_the_store(door: StoreProcess, outside: Path, statement: str) -> None:
    """By POST with the token, and by GET: refused, nothing read, nothing written, and the store goes on."""
    names = {"f": str(outside / "secret"), "w": str(outside / "written"), "dir": str(outside), "port": str(free_port())}
    before = sorted(outside.iterdir())
    for answer in (_post(door, statement.format(**names)), _get(door, statement.format(**names))):
        assert SECRET not in answer.text
        assert answer.status_code >= 400, answer.text
        assert "X-ClickHouse-Exception-Code" in answer.headers
    assert sorted(outside.iterdir()) == before
    assert _post(door, "SELECT a FROM d.t").text == "row\n"
    assert _post(door, "SHOW TABLES FROM d").text == "t\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("select", "file('{f}')"),
        ("additional_result_filter", "throwIf(file('{f}') != '')"),
        ("format_template_row", "{f}"),
        ("output_format_schema", "{w}"),
        ("format_schema", "{f}:M"),
        ("dialect", "prql"),
        ("schema_inference_hints", "a String DEFAULT file('{f}')"),
        ("input_format_values_interpret_expressions", "1"),
        ("allow_introspection_functions", "1"),
        ("max_execution_time", str(QUERY_S + 1)),
        ("max_execution_time", "0"),
        ("max_memory_usage", "0"),
        ("max_memory_usage", str(1 << 40)),
    ],
)
def test_no_setting_lifts_what_holds(door: StoreProcess, outside: Path, name: str, value: str) -> None:
    """In the URL, in a SET and behind the statement, with the engine's own code for a setting that stays."""
    literal = value.replace("{f}", str(outside / "secret")).replace("{w}", str(outside / "written"))
    quoted = literal.replace("'", "\\'")
    for answer in (
        _post(door, "SELECT a FROM d.t", **{name: literal}),
        _get(door, "SELECT a FROM d.t", **{name: literal}),
        _post(door, f"SET {name} = '{quoted}'"),
        _post(door, f"SELECT a FROM d.t SETTINGS {name} = '{quoted}'"),
        _post(door, "x", query=f"INSERT INTO d.t SETTINGS {name} = '{quoted}' FORMAT LineAsString"),
    ):
        assert answer.headers.get("X-ClickHouse-Exception-Code") == "452", answer.text
    assert not (outside / "written").exists()


def test_rows_on_their_way_have_no_name(door: StoreProcess) -> None:
    """What users wrote waits in a file that goes with the process, also when it is killed."""
    found: list[str] = []

    def rows() -> Iterator[bytes]:
        yield b"a row\n" * (1 << 18)
        for _ in range(200):
            open_files = [_target(entry) for entry in Path(f"/proc/{door.pid}/fd").iterdir()]
            found.extend(name for name in open_files if Path(name).parent == Path(tempfile.gettempdir()))
            if found:
                break
            time.sleep(0.05)
        yield b"the last\n"

    answer = _HTTP.post(door.url, params={"database": "d", "query": "INSERT INTO t FORMAT TSV"}, content=rows())
    assert answer.status_code == 200, answer.text
    assert found
    assert all(name.endswith(" (deleted)") for name in found)
    assert _post(door, "SELECT count() FROM d.t WHERE a IN ('a row', 'the last')").text == f"{(1 << 18) + 1}\n"
    _post(door, "ALTER TABLE d.t DELETE WHERE a != 'row' SETTINGS mutations_sync = 1")


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


def test_data_are_never_expressions(door: StoreProcess, outside: Path) -> None:
    """Values may hold literals alone."""
    for data in (f"(file('{outside / 'secret'}'))", f"(concat('', file('{outside / 'secret'}')))"):
        answer = _post(door, data, query="INSERT INTO d.t FORMAT Values")
        assert answer.headers["X-ClickHouse-Exception-Code"]
        assert SECRET not in answer.text
    assert _post(door, "SELECT count() FROM d.t").text == "1\n"


@pytest.mark.parametrize("readonly", ["0", "00", "false", "-0", "", "2"])
@pytest.mark.parametrize(
    "query",
    ["DROP TABLE d.t", "INSERT INTO d.t VALUES ('x')", "CREATE TABLE d.y (a Int8) ENGINE = Memory", "TRUNCATE d.t"],
)
def test_get_changes_nothing_whatever_it_asks_for(door: StoreProcess, query: str, readonly: str) -> None:
    """Read-only is set by the door, and the engine does not let a request take it back."""
    assert _get(door, query, readonly=readonly).status_code >= 400
    assert _get(door, f"{query} SETTINGS readonly = 0").status_code >= 400
    assert _get(door, f"SET readonly = 0; {query}").status_code == 400
    assert _get(door, "SELECT a FROM d.t", readonly=readonly).text == "row\n"


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("SELECT 'INTO OUTFILE', ';', 'file(1)' -- INTO OUTFILE", "INTO OUTFILE\t;\tfile(1)\n"),
        ("SELECT t.file FROM (SELECT CAST(tuple(7), 'Tuple(file Int8)') AS t)", "7\n"),
        ("SELECT count() FROM numbers(10);", "10\n"),
        ("SELECT sum(x) FROM (SELECT 1 AS x UNION ALL SELECT 2) ; -- done", "3\n"),
        ("SELECT engine FROM system.tables WHERE name = 't'", "MergeTree\n"),
        ("SELECT 'it''s', `a`, \"a\" FROM d.t", "it\\'s\trow\trow\n"),
        ("SELECT getSetting('max_execution_time')", f"{QUERY_S}\n"),
        ("SELECT getSetting('max_execution_time') SETTINGS max_execution_time = 5", "5\n"),
    ],
)
def test_what_only_looks_like_it_is_answered(door: StoreProcess, statement: str, answer: str) -> None:
    """Words in literals, comments and names of columns are not clauses."""
    assert _post(door, statement).text == answer
    assert _get(door, statement).text == answer


def test_tables_are_exchanged_renamed_and_dropped(door: StoreProcess) -> None:
    """What upkeep needs of SQL is there."""
    for statement in (
        "CREATE TABLE d.t2 AS d.t",
        "EXCHANGE TABLES d.t AND d.t2",
        "EXCHANGE TABLES d.t AND d.t2",
        "ALTER TABLE d.t2 ADD COLUMN b UInt8 DEFAULT 1",
        "ALTER TABLE d.t2 UPDATE b = 2 WHERE 1 SETTINGS mutations_sync = 2",
        "ALTER TABLE d.t2 ATTACH PARTITION tuple() FROM d.t2",
        "CREATE VIEW d.v2 AS SELECT * FROM d.t2",
        "OPTIMIZE TABLE d.t2 FINAL",
        "RENAME TABLE d.t2 TO d.t3",
        "DROP TABLE d.v2",
        "DROP TABLE d.t3",
    ):
        assert _post(door, statement).status_code == 200, statement
    assert _post(door, "SELECT a FROM d.t").text == "row\n"


def test_without_the_token_nothing_but_ping_is_answered(door: StoreProcess) -> None:
    """ClickHouse's code for a failed login, by every method, and the same token is good again after a restart."""
    base = f"http://127.0.0.1:{door.port}"
    with httpx.Client(base_url=base, trust_env=False) as http:
        assert http.get("/ping").text == "Ok.\n"
        for answer in (http.get("/", params={"query": "SELECT 1"}), http.post("/", content="SELECT 1")):
            assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (401, "516")
        wrong = http.post("/", content="SELECT 1", headers={"X-ClickHouse-User": "keeprate", "X-ClickHouse-Key": "x"})
        assert (wrong.status_code, wrong.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        token = own_token(door.path)
        assert http.post("/", content="SELECT 1", auth=("keeprate", token)).text == "1\n"
        assert http.get("/", params={"query": "SELECT 1", "user": "keeprate", "password": token}).text == "1\n"
    with pytest.raises(SchemaMismatchError) as caught, connect(f"http://keeprate:wrong@127.0.0.1:{door.port}/d"):
        pass
    assert caught.value.code == 516


def test_commands_of_the_data_directory_find_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL without a user is enough; with one, or elsewhere than on loopback, it stays as it is."""
    with StoreProcess(tmp_path / "store") as store:
        monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path / "other"))
        with pytest.raises(SchemaMismatchError, match="print-url"):
            connect(f"http://127.0.0.1:{store.port}/default")
        monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path))
        with connect(f"http://localhost:{store.port}/default") as client:
            assert client.query("SELECT 1") == [(1,)]
        printed = subprocess.run(
            [sys.executable, "-m", "keeprate.deploy.cli", "store", "--print-url", "--port", str(store.port)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        assert printed == url_with_token(tmp_path / "store", store.port, "/?database=keeprate")
        assert httpx.post(printed, params={"database": "default"}, content="SELECT 7", trust_env=False).text == "7\n"
        with connect(printed, "default") as client:
            assert client.query("SELECT 2") == [(2,)]


def test_a_token_that_others_could_have_read_is_refused(tmp_path: Path) -> None:
    """It would keep nobody out."""
    own_token(tmp_path / "data")
    (tmp_path / "data" / "token").chmod(0o644)
    with pytest.raises(ValueError, match="other users can read it"):
        own_token(tmp_path / "data")


_INTRUDER = """
import os, sys, urllib.request, urllib.error
directory, port = sys.argv[1:]
def attempt(name, call):
    try:
        print(name, "GOT", call())
    except (OSError, urllib.error.HTTPError) as error:
        print(name, type(error).__name__, getattr(error, "code", ""))
def ask(query, method, **headers):
    url = f"http://127.0.0.1:{port}/"
    if method == "GET":
        url += "?query=" + urllib.request.quote(query)
    data = None if method == "GET" else query.encode()
    return urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=20).read()
attempt("list", lambda: os.listdir(directory))
attempt("token", lambda: open(directory + "/token").read())
attempt("log", lambda: open(directory + ".log").read())
attempt("get", lambda: ask("SELECT * FROM d.t", "GET"))
attempt("post", lambda: ask("SELECT * FROM d.t", "POST"))
attempt("empty", lambda: ask("SELECT * FROM d.t", "POST", **{"X-ClickHouse-User": "default", "X-ClickHouse-Key": ""}))
attempt("read", lambda: ask("SELECT * FROM file('/etc/hostname', 'LineAsString')", "GET"))
attempt("write", lambda: ask("SELECT 1 INTO OUTFILE '/tmp/keeprate-intruder'", "POST"))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_gets_nothing() -> None:
    """A process of another user neither reads the store's files nor gets an answer of it."""
    # Not in tmp_path, which no other user can enter: here, it is the store's own directory that must be closed.
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        # Not this interpreter, which may lie where only its owner comes.
        python = shutil.which("python3", path=os.defpath)
        if python is None:
            pytest.skip("there is no python3 of the system that another user could run")
        with StoreProcess(Path(parent) / "data") as store:
            _post(store, "CREATE DATABASE d", database="default")
            _post(store, "CREATE TABLE d.t (a String) ENGINE = Memory", database="default")
            argv = [python, "-I", "-S", "-c", _INTRUDER, str(store.path), str(store.port)]
            said = subprocess.run(argv, user=65_534, group=65_534, extra_groups=[], capture_output=True, text=True)
    assert said.stdout.splitlines() == [
        "list PermissionError ",
        "token PermissionError ",
        "log PermissionError ",
        "get HTTPError 401",
        "post HTTPError 401",
        "empty HTTPError 401",
        "read HTTPError 401",
        "write HTTPError 401",
    ], said.stderr
    assert not Path("/tmp/keeprate-intruder").exists()


def test_all_files_of_the_store_are_its_users_alone(door: StoreProcess) -> None:
    """Whatever the umask of who started it."""
    opened = [path for path in door.path.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert [path for path in opened if not path.is_symlink()] == []
    assert stat.S_IMODE(door.path.stat().st_mode) == 0o700


_ASLEEP = "SELECT count() FROM numbers(100000) WHERE sleepEachRow(0.05) = 1 SETTINGS max_block_size = 1"


def _running(store: StoreProcess) -> int:
    asked = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%' AND query NOT LIKE '%processes%'"
    return int(_post(store, asked).text)


@pytest.mark.parametrize("form", ["FORMAT TSV", "FORMAT JSON"])
def test_queries_whose_clients_hang_up_are_ended(door: StoreProcess, form: str) -> None:
    """Twice as many as may run at once: others are answered as soon as the clients have gone."""

    def ask_and_go() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(door.url, content=f"{_ASLEEP} {form}", trust_env=False, timeout=2)

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for asked in [pool.submit(ask_and_go) for _ in range(24)]:
            asked.result()
    deadline = time.monotonic() + 60
    while _running(door):
        assert time.monotonic() < deadline, "queries of clients that have gone still run"
        time.sleep(0.2)


def test_readers_do_not_keep_rows_from_landing(door: StoreProcess) -> None:
    """While every turn to read is taken, an INSERT is written and one more reader is told to come back."""
    _post(door, "CREATE TABLE d.landing (a Int64) ENGINE = MergeTree ORDER BY a")
    with concurrent.futures.ThreadPoolExecutor(13) as pool:
        held = [pool.submit(_post, door, _ASLEEP, max_execution_time="15") for _ in range(12)]
        deadline = time.monotonic() + 20
        while not all(each.running() for each in held):
            assert time.monotonic() < deadline
        time.sleep(1)
        assert _post(door, "1\n", query="INSERT INTO d.landing FORMAT TSV").status_code == 200
        refused = _post(door, "SELECT 1")
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (503, "202")
        assert refused.headers["Retry-After"] == "1"
        assert {each.result().headers["X-ClickHouse-Exception-Code"] for each in held} == {"159"}
    assert _post(door, "SELECT count() FROM d.landing").text == "1\n"
    _post(door, "DROP TABLE d.landing")


def test_a_query_that_takes_more_memory_than_it_may_is_ended(door: StoreProcess) -> None:
    """With ClickHouse's code, and the store goes on."""
    answer = _post(door, "SELECT groupArray(number) FROM numbers(1000000000)")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "241"
    assert _post(door, "SELECT 1").text == "1\n"


def test_a_statement_that_is_no_text_is_an_error_of_its_own(door: StoreProcess) -> None:
    """With a code, like every other."""
    answer = _post(door, b"SELECT '\xff'")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "62")


def test_basic_auth_that_is_no_base64_is_no_login(door: StoreProcess) -> None:
    """And no error of the store."""
    for said in ("Basic %%%", "Basic " + base64.b64encode(b"\xff\xfe").decode(), "Basic"):
        headers = {"Authorization": said}
        url = f"http://127.0.0.1:{door.port}/"
        assert httpx.post(url, content="SELECT 1", headers=headers, trust_env=False).status_code == 401
