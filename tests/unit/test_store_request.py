"""The door reads of a request what the protocol needs, and of SQL no more than that."""

import base64

import pytest

from keeprate.deploy.store.request import (
    DoorError,
    Insert,
    Options,
    Tokens,
    assignments,
    content_type,
    form_fields,
    has_answer,
    insert_from_file,
    may_stream,
    may_write,
    output_format,
    read_options,
    refusal,
    split_insert,
)


@pytest.mark.parametrize(
    ("text", "data_follow", "head", "data_format", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x01\x02", False, "INSERT INTO t ", "Native", b"\x01\x02"),
        (b"INSERT INTO t FORMAT JSONEachRow {}", False, "INSERT INTO t ", "JSONEachRow", b"{}"),
        (b"insert into t (`format`, b) format CSV\r\n1,2", False, "insert into t (`format`, b) ", "CSV", b"1,2"),
        (b"INSERT INTO t (format, values) FORMAT CSV\n1", False, "INSERT INTO t (format, values) ", "CSV", b"1"),
        (b"/* FORMAT a */ INSERT INTO t FORMAT CSV\n", False, "/* FORMAT a */ INSERT INTO t ", "CSV", b""),
        (b"-- one\nINSERT INTO t FORMAT CSV\n", False, "-- one\nINSERT INTO t ", "CSV", b""),
        (b"INSERT INTO `FORMAT x` FORMAT CSV\n1", False, "INSERT INTO `FORMAT x` ", "CSV", b"1"),
        (
            b"INSERT INTO t SETTINGS a='FORMAT b' FORMAT TSV\n",
            False,
            "INSERT INTO t SETTINGS a='FORMAT b' ",
            "TSV",
            b"",
        ),
        (b"INSERT INTO t FORMAT CSV", True, "INSERT INTO t ", "CSV", b""),
        (b"INSERT INTO t VALUES", True, "INSERT INTO t ", "Values", b""),
        (b"INSERT INTO t (a, b)", True, "INSERT INTO t (a, b)", "Values", b""),
    ],
)
def test_an_insert_is_split_from_its_data(
    text: bytes, data_follow: bool, head: str, data_format: str, data: bytes
) -> None:
    """Quotes, comments and columns named like keywords hide nothing."""
    assert split_insert(text, data_follow) == (Insert(head, data_format), data)


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 FORMAT Native",
        b"INSERT INTO t VALUES (1, 'FORMAT CSV')",
        b"INSERT INTO t SELECT 1",
        b"INSERT INTO t WITH 1 AS a SELECT a",
        b"INSERTED",
        b"",
    ],
)
def test_a_statement_without_data_behind_it_is_run_as_it_is(text: bytes) -> None:
    """The engine gets it whole."""
    assert split_insert(text, data_follow=False) is None


@pytest.mark.parametrize(
    ("statement", "answer_format"),
    [
        (b"SELECT 1", "TabSeparated"),
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format Native ; \n", "Native"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1, a = 'b'", "JSON"),
        (b"SELECT 'FORMAT JSON'", "TabSeparated"),
        (b"SELECT format FROM t", "TabSeparated"),
    ],
)
def test_the_format_of_the_answer_is_the_statements_or_the_default(statement: bytes, answer_format: str) -> None:
    """It only decides headers and streaming: the engine chooses by itself."""
    assert output_format(statement, "TabSeparated") == answer_format


def test_only_a_select_in_a_format_without_wrapper_is_streamed() -> None:
    """A document like JSON's is one piece, and a change has no answer to stream."""
    assert may_stream(b"SELECT 1", "Native")
    assert may_stream(b"/* why */ WITH 1 AS a SELECT a", "JSONEachRow")
    assert not may_stream(b"SELECT 1", "JSON")
    assert not may_stream(b"SELECT 1", "CSVWithNames")
    assert not may_stream(b"CREATE TABLE t (a Int8) ENGINE = Memory", "Native")


def test_statements_with_and_without_an_answer_are_told_apart() -> None:
    """An empty result is still a result."""
    assert has_answer(b" (SELECT 1)")
    assert has_answer(b"show tables")
    assert not has_answer(b"ALTER TABLE t DELETE WHERE 1")


@pytest.mark.parametrize(
    "statement",
    [
        b" " * 4_000 + b"SELECT 1",
        b"\n\t  " * 1_000 + b")",
        b"-- why\n" * 400 + b"(" * 400 + b")",
        b"SELECT 1 FORMAT TSV " + b"-" * 4_000 + b"\n x",
        b"SELECT 1 FORMAT TSV " + b"/**/" * 1_000 + b" x",
        b"INSERT INTO t " + b"/*" * 40_000,
        b"INSERT INTO t " + b"\\'" * 40_000,
        b"INSERT INTO t " + b"(" * 40_000,
        b"INSERT INTO t " + b"SETTINGS " * 8_000,
    ],
    ids=lambda statement: statement[:14].decode() + statement[-10:].decode(),
)
def test_no_statement_holds_the_door_by_how_it_is_written(statement: bytes) -> None:
    """Each is looked at on the event loop: a way to read it that takes time with its square never comes back."""
    split_insert(statement, data_follow=False)
    insert_from_file(statement.decode(), "/tmp/rows", "CSV")
    output_format(statement, "TSV")
    assert not may_stream(statement, "TSV") or b"SELECT" in statement


@pytest.mark.parametrize(
    ("statement", "answer_format"),
    [
        (b"  \n -- what for\n SELECT 1 FORMAT CSV -- why\n /* and */ ; ", "CSV"),
        (b"SELECT 1 FORMAT CSV SETTINGS a = 'b', c = 1 -- why (so)", "CSV"),
    ],
)
def test_comments_and_spaces_around_a_statement_mean_nothing(statement: bytes, answer_format: str) -> None:
    """Before it, and behind its format."""
    assert may_stream(statement, "CSV")
    assert output_format(statement, "TSV") == answer_format


def test_arguments_are_sorted_into_protocol_settings_and_parameters() -> None:
    """What the protocol does not know is a setting of the engine."""
    arguments = [("query", "SELECT 1"), ("database", "d"), ("session_id", "s"), ("param_x", "1"), ("max_threads", "2")]
    assert read_options(arguments, {}) == Options("SELECT 1", "d", settings={"max_threads": "2"}, parameters={"x": "1"})


def test_headers_name_database_and_format_where_the_url_does_not() -> None:
    """As ClickHouse has it."""
    options = read_options([("default_format", "CSV")], {"x-clickhouse-database": "d", "x-clickhouse-format": "JSON"})
    assert (options.database, options.default_format) == ("d", "CSV")


def test_clickhouses_own_block_compression_is_refused() -> None:
    """Better no answer than one that the client cannot read."""
    with pytest.raises(DoorError, match="Accept-Encoding"):
        read_options([("compress", "1")], {})


def test_a_form_is_read_and_a_file_in_it_refused() -> None:
    """Fields may hold line breaks and dashes; external data are another matter."""
    head = b'Content-Disposition: form-data; name="%s"'
    field = b"--b\r\n" + head % b"query" + b"\r\n\r\nSELECT\r\n--1\r\n--b--\r\n"
    assert form_fields("multipart/form-data; boundary=b", field) == [("query", "SELECT\r\n--1")]
    file = b"--b\r\n" + head % b"t" + b'; filename="t"\r\n\r\n1\r\n--b--\r\n'
    with pytest.raises(DoorError, match="external data"):
        form_fields('multipart/form-data; boundary="b"', file)
    with pytest.raises(DoorError, match="no boundary"):
        form_fields("multipart/form-data", b"")


def test_settings_become_one_set_with_read_only_last() -> None:
    """Behind `readonly` in the same statement nothing could be set any more, and no value ends its quotes."""
    options = Options(settings={"readonly": "1", "a": "it's"}, parameters={"x": "a\\tb"})
    assert assignments(options, read_only=True) == "a = 'it\\'s', param_x = 'a\\\\tb', readonly = '1'"
    assert assignments(Options(), read_only=True) == "readonly = '2'"
    for tried in ("0", "00", "false", "-0", ""):
        assert assignments(Options(settings={"readonly": tried}), read_only=True) == "readonly = '2'"
    assert assignments(Options(), read_only=False) == ""


def test_a_name_that_is_no_name_is_refused() -> None:
    """Names go into a statement unquoted."""
    with pytest.raises(DoorError, match="not the name of a setting"):
        assignments(Options(settings={"a = 1; DROP TABLE t": "1"}), read_only=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8123", "origin": "https://example.org"},
        {"host": "127.0.0.1:8123", "origin": "null"},
        {"host": "127.0.0.1:8123", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"host": "127.0.0.1:8123", "sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"host": "127.0.0.1:8123", "sec-fetch-mode": "navigate"},
        {"host": "localhost.example.org:8123"},
        {"host": "127.0.0.1.example.org:8123"},
        {"host": "example.org:8123"},
        {"host": "example.org"},
        {"host": ""},
    ],
)
def test_browsers_and_foreign_names_are_refused(headers: dict[str, str]) -> None:
    """Neither another site's script, form or link, nor a name that was rebound to loopback, gets an answer."""
    assert refusal(headers) is not None


@pytest.mark.parametrize(
    "headers", [{"host": "127.0.0.1:8123"}, {"host": "[::1]:8123"}, {"host": "localhost", "sec-fetch-mode": "cors"}]
)
def test_programs_are_not_taken_for_browsers(headers: dict[str, str]) -> None:
    """Node's own fetch says a mode, but no site."""
    assert refusal(headers) is None


@pytest.mark.parametrize(
    ("headers", "arguments"),
    [
        ({"x-clickhouse-user": "keeprate", "x-clickhouse-key": "t0ken"}, {}),
        ({"authorization": "Basic " + base64.b64encode(b"keeprate:t0ken").decode()}, {}),
        ({}, {"user": "keeprate", "password": "t0ken"}),
    ],
)
def test_the_token_is_taken_in_each_of_clickhouses_ways(headers: dict[str, str], arguments: dict[str, str]) -> None:
    """Its clients, curl and a URL each have another one; the reader's is taken too, and its bearer does not write."""
    assert may_write(headers, arguments, Tokens("t0ken", "other"))
    assert not may_write(headers, arguments, Tokens("other", "t0ken"))


@pytest.mark.parametrize(
    ("headers", "arguments", "status"),
    [
        ({}, {}, 401),
        ({}, {"password": ""}, 401),
        ({"authorization": "Basic !"}, {}, 401),
        ({"authorization": "Bearer t0ken"}, {}, 401),
        ({"x-clickhouse-key": "t0ke"}, {}, 403),
        ({"x-clickhouse-key": "t0kené"}, {}, 403),
        ({"authorization": "Basic " + base64.b64encode(b"keeprate:other").decode()}, {}, 403),
        ({}, {"password": "T0KEN"}, 403),
    ],
)
def test_whoever_has_no_token_is_refused(headers: dict[str, str], arguments: dict[str, str], status: int) -> None:
    """By ClickHouse's code for a failed login, with the way to the token."""
    with pytest.raises(DoorError, match="keeprate store --print-url") as caught:
        may_write(headers, arguments, Tokens("t0ken", "reader"))
    assert (caught.value.status, caught.value.code) == (status, 516)


@pytest.mark.parametrize(
    ("answer_format", "kind"),
    [
        ("JSONEachRow", "application/x-ndjson"),
        ("JSONCompact", "application/json; charset=UTF-8"),
        ("TSV", "text/tab-separated-values; charset=UTF-8"),
        ("Native", "application/octet-stream"),
    ],
)
def test_formats_have_content_types(answer_format: str, kind: str) -> None:
    """A browser and a tool know what they get."""
    assert content_type(answer_format) == kind


@pytest.mark.parametrize(
    ("head", "statement"),
    [
        ("INSERT INTO t (a)", "INSERT INTO t (a) FROM INFILE '/x' COMPRESSION 'none' FORMAT CSV"),
        (
            "INSERT INTO `settings x = 1` SETTINGS async_insert=0, token='SETTINGS a = 1' ",
            "INSERT INTO `settings x = 1`  FROM INFILE '/x' COMPRESSION 'none' "
            "SETTINGS async_insert=0, token='SETTINGS a = 1'  FORMAT CSV",
        ),
        (
            "INSERT INTO settings (settings)",
            "INSERT INTO settings (settings) FROM INFILE '/x' COMPRESSION 'none' FORMAT CSV",
        ),
    ],
)
def test_an_insert_takes_its_data_from_a_file(head: str, statement: str) -> None:
    """The file stands before the settings of the statement, wherever else their keyword occurs."""
    assert insert_from_file(head, "/x", "CSV") == statement
