"""What a request means, as pure functions: which statement, which data, which settings, which format.

The engine parses SQL; here only as much is read as the protocol needs: whether a statement is an INSERT with data
behind it, and the FORMAT a statement ends with.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# Parameters of the protocol that are no settings of the engine. Session ids are accepted and mean nothing here: every
# request has a session of its own.
_PROTOCOL = frozenset(
    {"query", "query_id", "database", "default_format", "wait_end_of_query", "buffer_size", "stacktrace"}
    | {"session_id", "session_timeout", "session_check", "close_session", "user", "password", "quota_key", "role"}
    | {"client_protocol_version", "compress", "decompress"}
)
_NO_LOGIN = 516
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
# Atomic and possessive, as below: what does not match is told in one pass, whichever other ways there are to cut it up.
_SPACE = rb"(?>\s|--[^\n]*|/\*.*?\*/)"
_INSERT = re.compile(rb"\A" + _SPACE + rb"*+INSERT\s", re.IGNORECASE | re.DOTALL)
# What stands between INSERT and its data, in pieces that cannot hide a keyword from us. What is not closed goes to the
# end, and is refused later: otherwise each of its characters would begin another such piece.
_QUOTED = r"'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)|`(?:[^`\\]|\\.)*+(?:`|\\?\Z)"
_COMMENT = r"--[^\n]*|/\*.*?(?:\*/|\Z)"
_HEAD_PIECE = re.compile(
    rb"%b|%b|\([^()'\"`]*\)" % (_QUOTED.encode(), _COMMENT.encode())
    + rb"|\bFORMAT\s+(?P<format>\w+)[ \t]*;?[ \t]*(?:\r?\n)?|\b(?P<values>VALUES)\b|\b(?P<select>SELECT|WITH)\b|\w+|.",
    re.IGNORECASE | re.DOTALL,
)
_HEAD_WORD = re.compile(
    _QUOTED + "|" + _COMMENT + r"|\b(?P<settings>SETTINGS)\b(?=\s+\w+\s*=)|\w+|.",
    re.IGNORECASE | re.DOTALL,
)
_FORMAT_AT_END = re.compile(
    rb"\bFORMAT\s++(\w++)\s*+(?:SETTINGS\b(?:[^'()]|'(?:[^'\\]|\\.)*+')*)?(?:;|" + _SPACE + rb")*+\Z",
    re.IGNORECASE | re.DOTALL,
)
_FIRST_WORD = re.compile(rb"\A(?:" + _SPACE + rb"|\()*+(\w+)", re.DOTALL)
_ANSWERING = frozenset(b"SELECT WITH FROM VALUES SHOW DESCRIBE DESC EXISTS EXPLAIN CHECK KILL".split())

# Formats whose blocks can be sent one by one because nothing stands before the first or after the last.
_STREAMABLE = frozenset(
    {"Native", "RowBinary", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "LineAsString", "RawBLOB"}
    | {"JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow"}
)
_CONTENT_TYPES = (
    (re.compile(r"JSON(EachRow|Lines)|NDJSON|JSONCompact(Strings)?EachRow", re.ASCII), "application/x-ndjson"),
    (re.compile(r"JSON"), "application/json; charset=UTF-8"),
    (re.compile(r"(TSV|TabSeparated)"), "text/tab-separated-values; charset=UTF-8"),
    (re.compile(r"CSV"), "text/csv; charset=UTF-8; header=absent"),
    (re.compile(r"Pretty|Vertical|Markdown|Values|LineAsString|XML|SQLInsert"), "text/plain; charset=UTF-8"),
)


class DoorError(ValueError):
    """The request asks for something this door does not do. `status` is HTTP's, `code` is ClickHouse's."""

    def __init__(self, message: str, status: int = 400, code: int = 36) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Options:
    """What the URL says, and a form where there is one."""

    query: str = ""
    database: str | None = None
    default_format: str = "TabSeparated"
    query_id: str | None = None
    wait_end_of_query: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose data come behind it: `head` for the engine, then the data in `format`."""

    head: str
    format: str


def refusal(headers: Mapping[str, str]) -> str | None:
    """Why a request is not from this machine's own programs, or None. A page in a browser could send one here too."""
    host = headers.get("host", "localhost")
    if re.sub(r":\d+$", "", host) not in _LOOPBACK_NAMES:
        return f"the store answers to {', '.join(_LOOPBACK_NAMES)}, not to {host!r}"
    # Of these, Node's own fetch sends a mode, but never one of a page that is opened.
    if "origin" in headers or "sec-fetch-site" in headers or headers.get("sec-fetch-mode") == "navigate":
        return "the store does not answer to a browser: use curl, a client of ClickHouse, or the page"
    return None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who is let in: `full` may do all that the store does, `reader` only reads."""

    full: str
    reader: str


def may_write(headers: Mapping[str, str], arguments: Mapping[str, str], tokens: Tokens) -> bool:
    """Whether who sends a request may write. Raises DoorError unless it brings a token as its password, in one of
    ClickHouse's three ways.

    The user's name is not looked at: who one is, the token says.
    """
    given = (
        headers.get("x-clickhouse-key")
        or _basic_password(headers.get("authorization", ""))
        or arguments.get("password")
    )
    if not given:
        raise DoorError("this store wants its token as the password: `keeprate store --print-url`", 401, _NO_LOGIN)
    full, reader = (hmac.compare_digest(given.encode(), each.encode()) for each in (tokens.full, tokens.reader))
    if not full and not reader:
        raise DoorError("the password is not this store's token: `keeprate store --print-url`", 403, _NO_LOGIN)
    return full


def _basic_password(authorization: str) -> str | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return None


def read_options(arguments: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Options:
    """Sort the arguments of a URL into what the protocol, the engine's settings and the statement's parameters take.

    Raises DoorError for ClickHouse's own block compression, which HTTP's replaces here.
    """
    given = dict(arguments)
    for name in ("compress", "decompress"):
        if given.get(name, "0") not in ("0", "false"):
            raise DoorError(f"{name}=1 is not available here: use Accept-Encoding and Content-Encoding", 501, 48)
    return Options(
        query=given.get("query", ""),
        database=given.get("database") or headers.get("x-clickhouse-database"),
        default_format=given.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated",
        query_id=given.get("query_id"),
        wait_end_of_query=given.get("wait_end_of_query", "0") not in ("0", "false"),
        settings={k: v for k, v in given.items() if k not in _PROTOCOL and not k.startswith("param_")},
        parameters={k.removeprefix("param_"): v for k, v in given.items() if k.startswith("param_")},
    )


def form_fields(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields of a multipart form, which clickhouse-connect sends when parameters are too long for a URL.

    Raises DoorError for a file, which would be ClickHouse's external data, and for what is no such form.
    """
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise DoorError("the form has no boundary")
    fields = []
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, found, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if not found or name is None or b"filename=" in head:
            raise DoorError("external data in a form are not available here", 501, 48)
        fields.append((name[1].decode(), value.decode()))
    return fields


def split_insert(text: bytes, data_follow: bool) -> tuple[Insert, bytes] | None:
    """The INSERT at the start of `text` and what of its data `text` holds; None for a statement to run as it is.

    `data_follow` says that data come after `text`, as when the statement is in the URL and the data in the body: then
    an INSERT without FORMAT takes them as Values, as ClickHouse does. INSERT … SELECT is a statement to run as it is.
    """
    if _INSERT.match(text) is None:
        return None
    for piece in _HEAD_PIECE.finditer(text):
        if piece["format"] is not None:
            return Insert(text[: piece.start()].decode(), piece["format"].decode()), text[piece.end() :]
        if piece["select"] is not None:
            return None
        if piece["values"] is not None:
            bare = data_follow and not text[piece.end() :].strip(b" \t\r\n;")
            return (Insert(text[: piece.start()].decode(), "Values"), b"") if bare else None
    return (Insert(text.decode().rstrip(" \t\r\n;"), "Values"), b"") if data_follow else None


def insert_from_file(head: str, path: str, data_format: str) -> str:
    """The statement of an INSERT whose data are in a file: the file stands before the settings of the statement."""
    source = f" FROM INFILE '{path}' COMPRESSION 'none' "
    for piece in _HEAD_WORD.finditer(head):
        if piece["settings"] is not None:
            return f"{head[: piece.start()]}{source}{head[piece.start() :]} FORMAT {data_format}"
    return f"{head}{source}FORMAT {data_format}"


def output_format(statement: bytes, default: str) -> str:
    """The format the answer will have: the one the statement ends with, or the default."""
    # Only the end is searched: a statement can be megabytes long.
    said = _FORMAT_AT_END.search(statement[-4096:])
    return said[1].decode() if said is not None else default


def has_answer(statement: bytes) -> bool:
    """Whether a statement yields a result, possibly empty, rather than none at all."""
    word = _FIRST_WORD.match(statement)
    return word is not None and word[1].upper() in _ANSWERING


def may_stream(statement: bytes, answer_format: str) -> bool:
    """Whether the answer can go out block by block: a SELECT in a format without head, foot or wrapper."""
    word = _FIRST_WORD.match(statement)
    return answer_format in _STREAMABLE and word is not None and word[1].upper() in (b"SELECT", b"WITH")


def content_type(answer_format: str) -> str:
    """The Content-Type of an answer in a format."""
    return next((kind for pattern, kind in _CONTENT_TYPES if pattern.match(answer_format)), "application/octet-stream")


def assignments(options: Options, read_only: bool) -> str:
    """What gives a session the request's settings and parameters, behind a SET; nothing where there are none.

    `read_only` is for GET, which by the protocol must not change anything.
    """
    settings = dict(options.settings)
    if read_only and settings.get("readonly") != "1":
        # Whatever else is asked for: the engine reads "00" as 0.
        settings["readonly"] = "2"
    assigned = settings | {f"param_{name}": value for name, value in options.parameters.items()}
    for name in assigned:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name):
            raise DoorError(f"{name!r} is not the name of a setting", 404, 115)
    # readonly comes last, or it would forbid the settings behind it in the same statement.
    ordered = sorted(assigned.items(), key=lambda setting: setting[0] == "readonly")
    return ", ".join(f"{name} = {quoted(value)}" for name, value in ordered)


def quoted(value: str) -> str:
    """A text as a literal of SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
