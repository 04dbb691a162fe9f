"""Outcomes from facts again: what verifying, repairing and replaying share.

Facts are read in the order of the tables, some generations at a time, so memory stays bounded however long the history
is. All events of a generation are read even where only one of them was selected: an outcome is the fold of all.

**Invariant:** nothing here writes, but for `write`; and what it writes merges with what is there.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json

from keeprate.schemas.decode import ContractError, decode_stored
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import FIELDS, Outcome, canonical, encode_outcome, key_of, merge, parse_key
from keeprate.sinks.landing.rows import OUTCOMES_TABLE
from keeprate.sinks.landing.shards import shard_of
from keeprate.sinks.reading.derive import IDS_AT_ONCE, derive, of_generations
from keeprate.sinks.store.clickhouse import Client, to_ms
from keeprate.sinks.store.servers import Servers

FACTS: Final = ("generations", "feedback")
PAGE_ROWS: Final = 20_000
"""Of each table in one page, roughly: the last generation of a page comes whole."""
PAGE_BYTES: Final = 64 << 20
"""Of events in one page: captured content may be long."""
_LAST_ID: Final = 2**128 - 1
_ROWS_AS_LISTS: Final = {"output_format_json_named_tuples_as_objects": 0, "output_format_json_quote_64bit_integers": 0}


@dataclass(frozen=True)
class GenerationFilter:
    """Which generations: of these apps, these ids, with an event that occurred in [since, until). Empty means all.

    shares, share: of all those, one in `shares`, by a hash of the id; `share` says which.
    """

    apps: Sequence[str] = ()
    generations: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    shares: int = 1
    share: int = 0

    @property
    def spans_time(self) -> bool:
        return self.since is not None or self.until is not None

    def parameters(self) -> dict[str, Any]:
        """What `condition` and `in_span` refer to."""
        span = {"since_ms": self.since, "until_ms": self.until}
        times = {name: to_ms(moment) for name, moment in span.items() if moment is not None}
        return {"only_ids": list(self.generations), "shares": self.shares, "share": self.share % self.shares, **times}

    def condition(self) -> str:
        """Of a row's identity alone."""
        parts = []
        if self.generations:
            parts += ["toUInt128(generation_id) IN (SELECT toUInt128(toUUID(arrayJoin({only_ids:Array(String)}))))"]
        if self.shares > 1:
            parts += ["cityHash64(generation_id) % {shares:UInt64} = {share:UInt64}"]
        return " AND ".join(parts) or "1"

    def in_span(self) -> str:
        """Of a fact's time."""
        parts = [
            f"occurred_at {order} fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"
            for order, name, moment in ((">=", "since_ms", self.since), ("<", "until_ms", self.until))
            if moment is not None
        ]
        return " AND ".join(parts) or "1"


@dataclass(frozen=True)
class FactsPage:
    """The selected generations of one app whose numbers are in [first, last]."""

    selection: GenerationFilter
    app: str
    first: int
    last: int

    def parameters(self) -> dict[str, Any]:
        """What `condition` refers to."""
        return {**self.selection.parameters(), "app": self.app, "first": self.first, "last": self.last}

    def condition(self) -> str:
        """Of a row of any table that has an app and a generation_id."""
        chosen = f"{_within('first', 'last')} AND {self.selection.condition()}"
        if not self.selection.spans_time:
            return chosen
        parts = (
            f"SELECT toUInt128(generation_id) FROM {table} WHERE {chosen} AND {self.selection.in_span()}"
            for table in FACTS
        )
        return f"{chosen} AND toUInt128(generation_id) GLOBAL IN ({' UNION ALL '.join(parts)})"


@dataclass(frozen=True)
class ListedGenerations:
    """Generations by app and id: named, where to look for them by time in a large statement would cost far more."""

    generations: Sequence[tuple[str, str]]

    def parameters(self) -> dict[str, Any]:
        """What `condition` refers to."""
        return dict(of_generations(self.generations)[1])

    def condition(self) -> str:
        """Of a row of any table that has an app and a generation_id."""
        return of_generations(self.generations)[0]


@dataclass(frozen=True)
class Unread:
    """A fact that this version does not take: an earlier one did, which had another contract."""

    app: str
    generation_id: str
    event_id: str
    reason: str


@dataclass(frozen=True)
class OutcomeDifference:
    """A stored outcome that is not what its facts say. Either is empty where there is none."""

    key: str
    stored: Outcome
    recomputed: Outcome

    @property
    def fields(self) -> list[str]:
        """Which fields differ."""
        names = self.stored.keys() | self.recomputed.keys()
        return sorted(name for name in names if self.stored.get(name) != self.recomputed.get(name))

    @property
    def lacks(self) -> bool:
        """Whether inserting the recomputed outcome would change the stored one."""
        return canonical(merge(self.stored, self.recomputed)) != self.stored

    @property
    def has_more(self) -> bool:
        """Whether the stored outcome holds what no fact says: inserting cannot take it away."""
        return canonical(merge(self.stored, self.recomputed)) != self.recomputed


def pages(
    store: Client,
    selection: GenerationFilter,
    rows: int = PAGE_ROWS,
    size_bytes: int = PAGE_BYTES,
    ids: tuple[int, int] = (0, _LAST_ID),
) -> Iterator[FactsPage]:
    """Consecutive pages of what is selected, in the order of the tables. Also of outcomes that have no facts, unless
    a time selects: nothing dates these.

    ids: the first and the last number that a generation may have. Generations that begin meanwhile are left out: ids
    grow with time, and a reader that is slower than they come would never be done.
    """
    for app, newest in _apps(store):
        if selection.apps and app not in selection.apps:
            continue
        after, end = ids[0] - 1, min(ids[1], newest)
        while (last := _page_end(store, selection, app, (after, end), rows, size_bytes)) is not None:
            yield FactsPage(selection, app, after + 1, last)
            after = last


def listed(store: Client, selection: GenerationFilter) -> Iterator[ListedGenerations]:
    """The generations that a time selects, some thousand at a time."""
    waiting: list[tuple[str, str]] = []
    for page in pages(store, selection):
        rows = store.query(
            " UNION DISTINCT ".join(
                f"SELECT toString(generation_id) FROM {table} "
                f"WHERE {_within('first', 'last')} AND {selection.condition()} AND {selection.in_span()}"
                for table in FACTS
            ),
            page.parameters(),
        )
        waiting += [(page.app, str(generation_id)) for (generation_id,) in rows]
        while len(waiting) >= IDS_AT_ONCE:
            yield ListedGenerations(waiting[:IDS_AT_ONCE])
            del waiting[:IDS_AT_ONCE]
    if waiting:
        yield ListedGenerations(waiting)


def count_facts(store: Client, selection: GenerationFilter) -> int:
    """How many selected facts there are, roughly: not yet merged duplicates count."""
    where = f"{selection.condition()} AND {selection.in_span()}"
    where += " AND app IN {apps:Array(String)}" if selection.apps else ""
    parameters = {**selection.parameters(), "apps": list(selection.apps)}
    return sum(int(store.query(f"SELECT count() FROM {table} WHERE {where}", parameters)[0][0]) for table in FACTS)


def events(store: Client, page: FactsPage, unread: Callable[[Unread], None]) -> Iterator[Event]:
    """All events of a page's generations, unmerged duplicates included. unread: is told those that cannot be read.

    What is stored was let in once, so today's bounds are not asked of it: an outcome stays what its facts say.
    """
    for table in FACTS:
        rows = store.query(
            f"SELECT event, toString(generation_id), toString(event_id) FROM {table} WHERE {page.condition()}",
            page.parameters(),
        )
        for text, generation_id, event_id in rows:
            try:
                yield decode_stored(text.encode())
            except ContractError as error:
                unread(Unread(page.app, generation_id, event_id, str(error)))


def stored(store: Client, page: FactsPage, table: str = OUTCOMES_TABLE.name) -> dict[str, Outcome]:
    """The merged outcomes of a page that a table holds, by key, each in canonical form."""
    statement = f"SELECT * FROM `{table}` FINAL WHERE {page.condition()}"
    answer = store.query_bytes(statement, page.parameters(), settings=_ROWS_AS_LISTS)
    rows = map(from_json, answer.splitlines())
    return {key_of(row["app"], row["generation_id"], row["choice_index"]): outcome_of(row) for row in rows}


def unsettled(store: Client, page: FactsPage | ListedGenerations, settled_s: int) -> set[str]:
    """`app/generation_id` of those generations that got a fact within so many seconds."""
    rows: set[str] = set()
    for table in FACTS:
        found = store.query(
            f"SELECT DISTINCT app, toString(generation_id) FROM {table} WHERE {page.condition()} "
            "AND stored_at > now64(3) - toIntervalSecond({settled_s:UInt32})",
            {**page.parameters(), "settled_s": settled_s},
        )
        rows.update(f"{app}/{generation_id}" for app, generation_id in found)
    return rows


def recomputed(log: Iterator[Event]) -> dict[str, Outcome]:
    """The outcomes that events fold to, by key, each in canonical form."""
    return {key: canonical(outcome) for key, outcome in fold(log).items()}


def compare(held: Mapping[str, Outcome], said: Mapping[str, Outcome]) -> list[OutcomeDifference]:
    """Where stored outcomes are not the recomputed ones, by key."""
    keys = sorted(key for key in held.keys() | said.keys() if held.get(key) != said.get(key))
    return [OutcomeDifference(key, held.get(key, {}), said.get(key, {})) for key in keys]


def write(store: Client, outcomes: Mapping[str, Outcome], table: str = OUTCOMES_TABLE.name) -> None:
    """Insert outcomes, which merge with those that the table holds, and derive their suggestions."""
    if outcomes:
        lines = b"".join(encode_outcome(key, outcome) + b"\n" for key, outcome in outcomes.items())
        store.insert_bytes(table, (), lines, OUTCOMES_TABLE.format, dict(OUTCOMES_TABLE.settings))
        if table == OUTCOMES_TABLE.name:
            derive(store, {parse_key(key)[:2] for key in outcomes})


def write_apart(servers: Servers, outcomes: Mapping[str, Outcome]) -> None:
    """Insert outcomes where their generations are, and derive their suggestions there."""
    for client, ids in apart(servers, {parse_key(key)[:2] for key in outcomes}):
        write(client, {key: outcome for key, outcome in outcomes.items() if parse_key(key)[:2] in ids})


def apart(
    servers: Servers, generations: Collection[tuple[str, str]]
) -> Iterator[tuple[Client, Collection[tuple[str, str]]]]:
    """The servers that hold some of the generations, given as (app, generation_id), each with those."""
    for number, client in enumerate(servers.clients):
        ours = {one for one in generations if shard_of(one[1], len(servers.clients)) == number}
        if ours:
            yield client, ours


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """The outcome in a row of the table, its tuples as lists: a column that holds its default holds nothing."""
    outcome = {field.name: row[field.name] for field in FIELDS if not _is_nothing(row[field.name], field.default)}
    return canonical(outcome)


def _is_nothing(value: Any, default: int | None) -> bool:
    if isinstance(value, list):
        return not any(value)
    return value == default if default is not None else not value


def _apps(store: Client) -> list[tuple[str, int]]:
    """Every app, with the largest number that a generation of it has."""
    parts = (
        f"SELECT app::String AS app, max(toUInt128(generation_id)) AS newest FROM {table} GROUP BY app"
        for table in (*FACTS, OUTCOMES_TABLE.name)
    )
    rows = store.query(f"SELECT app, max(newest) FROM ({' UNION ALL '.join(parts)}) GROUP BY app ORDER BY app")
    return [(str(app), int(newest)) for app, newest in rows]


def _within(first: str, last: str) -> str:
    return f"app = {{app:String}} AND toUInt128(generation_id) BETWEEN {{{first}:UInt128}} AND {{{last}:UInt128}}"


def _page_end(
    store: Client, selection: GenerationFilter, app: str, between: tuple[int, int], rows: int, size_bytes: int
) -> int | None:
    """The number of the last generation of the page that begins behind the first of two; None where there is none."""
    after, end = between
    if after >= end:
        return None
    where = f"{_within('first', 'end')} AND {selection.condition()}"
    heads = {
        table: f"SELECT toUInt128(generation_id) AS id, length(event) AS size FROM {table} "
        f"WHERE {where} AND {selection.in_span()} ORDER BY app, id LIMIT {rows}"
        for table in FACTS
    }
    if not selection.spans_time:
        name = OUTCOMES_TABLE.name
        heads[name] = (
            f"SELECT toUInt128(generation_id) AS id, 0 AS size FROM {name} WHERE {where} ORDER BY app, id LIMIT {rows}"
        )
    # A table of which not everything was read is known only up to its last row.
    known = f"if(count() OVER () < {rows}, {{end:UInt128}}, max(id) OVER ()) AS known"
    parts = [f"SELECT id, size, {known} FROM ({head})" for head in heads.values()]
    found = store.query(
        "SELECT count(), min(id), maxIf(id, running <= {size_bytes:UInt64} AND id <= bound) FROM ("
        "SELECT id, sum(size) OVER (ORDER BY id) AS running, min(known) OVER () AS bound "
        f"FROM ({' UNION ALL '.join(parts)}))",
        {**selection.parameters(), "app": app, "first": after + 1, "end": end, "size_bytes": size_bytes},
    )
    count, lowest, highest = found[0]
    return max(int(lowest), int(highest)) if count else None
