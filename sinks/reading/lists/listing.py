"""The suggestions behind a number: one typed question to rows of `suggestions`, page after page, with no content.

A page is found in two steps: the identities that match, by the few columns that decide, newest hours first; then the
rows of those, by key. Hours in which sums say that nothing matches are not read (`candidates`).
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from keeprate.sinks.reading.hours import FINAL, PRUNED, not_moved
from keeprate.sinks.reading.lists import candidates
from keeprate.sinks.reading.lists.candidates import Candidates
from keeprate.sinks.reading.lists.conditions import (
    CHECK_FATES,
    FATES,
    SIGNALS,
    STATE,
    TEXT,
    WORST,
    Condition,
    bounds_of,
)
from keeprate.sinks.reading.scope import HOUR_MS, Scope, ScopeError
from keeprate.sinks.reading.splitting import maturity_ms
from keeprate.sinks.store.clickhouse import Client

Order = Literal["newest", "worst"]

PATIENCE_S: Final = 0.25
"""How long a page is looked for before what was found is given, with the place at which to go on."""
MOST_ROWS: Final = 1000
MOST_NAMES: Final = 50
"""Of the labels, and of the actions, of one suggestion, how many a row has."""
_KEY: Final = "(cohort_ms, toUInt128(generation_id), choice_index, app)"
_PLACE_PARTS: Final = 5
_OF_IDS: Final = Condition("toUInt128(generation_id) BETWEEN {first_id:UInt128} AND {last_id:UInt128}")
_ID_DIGITS: Final = 32
_LEAST_DIGITS: Final = 8
"""Of an id's beginning by which it is found in the order of ids; what is shorter begins too many."""


@dataclass(frozen=True)
class Place:
    """Where a list stands: after (or before) a suggestion, or at the edge of what was looked through."""

    rank: int
    cohort_ms: int
    generation: int
    choice_index: int
    app: str

    def __str__(self) -> str:
        identity = uuid.UUID(int=self.generation)
        return f"{self.rank}~{self.cohort_ms}~{identity}~{self.choice_index}~{self.app}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """The place that `str` wrote. Raises ScopeError."""
        parts = text.split("~", _PLACE_PARTS - 1)
        try:
            rank, cohort_ms, identity, choice_index, app = parts
            found = cls(int(rank), int(cohort_ms), uuid.UUID(identity).int, int(choice_index), app)
        except ValueError:
            raise ScopeError(f"after: {text[:80]!r} is no place in a list; take the one that a page gave") from None
        if not (0 <= found.rank < len(WORST) and abs(found.cohort_ms) < 1 << 62 and 0 <= found.choice_index < 1 << 16):
            raise ScopeError(f"after: {text[:80]!r} is no place in a list; take the one that a page gave")
        return found


@dataclass(frozen=True)
class Listing:
    """Which suggestions to list.

    scope: the time and the values to keep; what it is cut by does not matter here.
    fate: one of FATES or CHECK_FATES; the latter at `horizon_s`, of those whose check is due, as they are counted.
    signals: of SIGNALS, each of which a suggestion must have. text: an id, or a part of a name.
    also: conditions of the asker's own, and values: what they refer to.
    after, backwards: from a place on, in the list's order or against it.
    by_id: `text` is an id, or the beginning of one that there is: `page` finds that out.
    """

    scope: Scope
    fate: str = ""
    horizon_s: int = 0
    signals: Sequence[str] = ()
    text: str = ""
    order: Order = "newest"
    after: Place | None = None
    backwards: bool = False
    limit: int = 50
    also: Sequence[Condition] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    by_id: bool = False

    def __post_init__(self) -> None:
        if self.fate and self.fate not in FATES and self.fate not in CHECK_FATES:
            raise ScopeError(f"fate: {self.fate[:60]!r} is none; choose from {', '.join((*FATES, *CHECK_FATES))}")
        if self.fate in CHECK_FATES and not self.horizon_s:
            raise ScopeError(
                f"fate: {self.fate} is what a check found; say at which horizon, like 300 for five minutes"
            )
        for name in self.signals:
            if name not in SIGNALS:
                raise ScopeError(f"signal: {name[:60]!r} is none; choose from {', '.join(SIGNALS)}")
        if self.order not in ("newest", "worst"):
            raise ScopeError(f"order: {str(self.order)[:60]!r} is none; choose from newest, worst")
        if self.after is not None and self.after.rank and self.order == "newest":
            raise ScopeError(
                "after: the place is in a list that begins with the worst; ask for that order, or begin anew"
            )
        if not 1 <= self.limit <= MOST_ROWS:
            raise ScopeError(f"limit: {self.limit} is not from 1 to {MOST_ROWS}")

    @property
    def ranks(self) -> Sequence[int]:
        """The ranks of `WORST` that are listed one after the other; one for all where the newest come first."""
        all_of = range(len(WORST)) if self.order == "worst" else range(1)
        first = self.after.rank if self.after else (all_of[-1] if self.backwards else 0)
        return [rank for rank in all_of if (rank <= first if self.backwards else rank >= first)][:: self._step]

    @property
    def _step(self) -> int:
        return -1 if self.backwards else 1

    def conditions(self, rank: int) -> list[Condition]:
        """All that a suggestion of a rank must meet."""
        found = [FATES[self.fate]] if self.fate in FATES else []
        found += [CHECK_FATES[self.fate]] if self.fate in CHECK_FATES else []
        found += [*(SIGNALS[name] for name in self.signals), *self.also]
        if self.order == "worst":
            found += [WORST[rank], *(each.negated for each in WORST[:rank])]
        if self.by_id:
            found.append(_OF_IDS)
        elif self.text:
            found.append(TEXT)
        return found or [Condition("1")]

    @property
    def ids(self) -> tuple[int, int] | None:
        """The first and the last id that `text` is, or begins; None where it is no id's beginning, or a short one."""
        text = self.text.strip().lower()
        try:
            whole = uuid.UUID(text).int
        except ValueError:
            return _beginning(text)
        return whole, whole

    def parameters(self) -> dict[str, Any]:
        """What the conditions refer to."""
        grace_ms = self.scope.grace_s * 1000
        due_ms = self.scope.as_of_ms - maturity_ms(self.horizon_s, grace_ms)
        first, last = self.ids or (0, 0)
        own = {"horizon_s": self.horizon_s, "due_ms": due_ms, "text": self.text.strip()}
        return self.scope.parameters() | own | {"first_id": first, "last_id": last} | dict(self.values)


@dataclass(frozen=True)
class Suggestion:
    """A row of a list. `state` and `distance_ratio` are of the check at the list's horizon; '' and None without one.

    place: where it stands. rank: the index of its class in WORST, 0 in a list by time.
    """

    place: Place
    rank: int
    values: Mapping[str, Any] = field(repr=False)

    @property
    def identity(self) -> tuple[str, str, int]:
        return self.values["app"], self.values["generation_id"], self.values["choice_index"]


@dataclass(frozen=True)
class Page:
    """Rows in the list's order. `next`: where to go on; None at the end. It may be given with no rows at all: then
    looking took longer than there was patience for, and older time is still to be looked through."""

    rows: Sequence[Suggestion]
    next: Place | None

    @property
    def searched_until(self) -> datetime | None:
        """How far back this page looked, where it is not the end."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.next.cohort_ms) if self.next else None


COLUMNS: Final = (
    *("app", "choice_index", "orphan", "cohort_ms", "environment", "user", "session", "operation", "surface"),
    *("language", "trigger", "provider", "model", "prompt_name", "prompt_version", "context_strategy", "step"),
    *("parent_generation_id", "experiment", "variant", "outcome", "finish_reason", "error_type", "trace_id"),
    *("input_tokens", "output_tokens", "cost_usd", "latency_ms", "shown", "accepted", "auto_applied", "end_reason"),
    *("undone", "corrected", "touchless", "accepted_length", "votes_positive", "votes_negative"),
    *("negative", "corrections"),
    # Apps and users name these, and nobody bounds how many there are of one suggestion.
    *(f"arraySlice(s.{name}, 1, {MOST_NAMES}) AS {name}" for name in ("flag_labels", "actions")),
)
"""What a row shows: no content, and nothing that is long."""


def page(client: Client, listing: Listing, patience_s: float | None = None) -> Page:
    """The next rows of a list. patience_s: after which it is given as far as it was found; None: PATIENCE_S."""
    ends_s = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    listing = replace(listing, by_id=_is_by_id(client, listing))
    found, after = list[Place](), listing.after
    where, ranks = Candidates(client, listing.scope, listing.horizon_s), listing.ranks
    for rank, following in zip(ranks, (*ranks[1:], None), strict=True):
        asked = replace(listing, after=after if after and after.rank == rank else None)
        places, after = _walk(client, asked, rank, listing.limit - len(found), where, ends_s)
        found += places
        if after is None and following is not None and time.monotonic() > ends_s:
            after = _edge(following, where.first - 1 if listing.backwards else where.last + 1, listing.backwards)
        if len(found) >= listing.limit or after is not None:
            break
    rows = _rows(client, listing, found)
    full = len(found) >= listing.limit
    return Page(rows[::-1] if listing.backwards else rows, found[-1] if full else after)


def _is_by_id(client: Client, listing: Listing) -> bool:
    """Whether the text is an id, or begins one of the scope. Else it may be a part of a name."""
    if listing.ids is None:
        return False
    first, last = listing.ids
    if first == last:
        return True
    asked = replace(listing, fate="", signals=(), also=(), order="newest", after=None, by_id=True)
    return bool(_matching(client, asked, 0, 1, listing.scope.hours, FINAL))


def _beginning(text: str) -> tuple[int, int] | None:
    digits = text.replace("-", "")
    if not _LEAST_DIGITS <= len(digits) < _ID_DIGITS:
        return None
    try:
        first = int(digits.ljust(_ID_DIGITS, "0"), 16)
    except ValueError:
        return None
    return (first, int(digits.ljust(_ID_DIGITS, "f"), 16)) if str(uuid.UUID(int=first)).startswith(text) else None


def _walk(
    client: Client, listing: Listing, rank: int, limit: int, where: Candidates, ends_s: float
) -> tuple[list[Place], Place | None]:
    """Places of one rank, and where to go on where patience ended before the hours did."""
    if listing.by_id or "user" in listing.scope.only:
        # A person's or an id's rows are found by an index of their own.
        return _matching(client, listing, rank, limit, listing.scope.hours, FINAL), None
    found: list[Place] = []
    size = candidates.FIRST
    for first, last in _spans(listing, where):
        hours = where.between(first, last, bounds_of(listing.conditions(rank)))
        hours.sort(key=lambda each: each.hour, reverse=not listing.backwards)
        at = 0
        while at < len(hours) and len(found) < limit:
            batch = candidates.batch(hours[at:], size, limit - len(found))
            began_s = time.monotonic()
            condition = f"hour IN {sorted(each.hour for each in batch)}"
            found += _matching(client, listing, rank, limit - len(found), condition, PRUNED)
            at, now_s = at + len(batch), time.monotonic()
            size = candidates.next_size(len(batch), now_s - began_s, ends_s - now_s)
            if len(found) < limit and at < len(hours) and now_s > ends_s:
                return found, _edge(rank, batch[-1].hour, listing.backwards)
        if len(found) >= limit:
            break
        left = last < where.last if listing.backwards else first > where.first
        if left and time.monotonic() > ends_s:
            return found, _edge(rank, last if listing.backwards else first, listing.backwards)
    return found, None


def _spans(listing: Listing, where: Candidates) -> Iterator[tuple[int, int]]:
    """The hours to look through, from the list's place on."""
    first, last = where.first, where.last
    if listing.after is not None:
        hour = listing.after.cohort_ms // HOUR_MS
        first, last = (max(first, hour), last) if listing.backwards else (first, min(last, hour))
    return candidates.spans(first, last, listing.backwards)


def _edge(rank: int, hour: int, backwards: bool) -> Place:
    """The place between an hour and the one to read next: before all that an hour may hold, in the list's order."""
    if backwards:
        return Place(rank, (hour + 1) * HOUR_MS, 0, 0, "")
    return Place(rank, hour * HOUR_MS - 1, (1 << 128) - 1, (1 << 16) - 1, "\U0010ffff")


def _matching(
    client: Client, listing: Listing, rank: int, limit: int, hours: str, settings: Mapping[str, int]
) -> list[Place]:
    """Where the suggestions are that match, in some hours: in order, from the listing's place on."""
    direction, sign = ("ASC", ">") if listing.backwards else ("DESC", "<")
    parts = [not_moved(hours), "cohort_ms >= {since_ms:Int64}", "cohort_ms < {until_ms:Int64}"]
    parts += [*listing.scope.keeps(), *(each.sql for each in listing.conditions(rank))]
    if listing.fate != "orphan":
        parts.append("NOT orphan")
    parameters = listing.parameters() | {"limit": limit}
    if (place := listing.after) is not None:
        parts.append(
            f"{_KEY} {sign} ({{after_ms:Int64}}, {{after_id:UInt128}}, {{after_choice:UInt16}}, {{after_app:String}})"
        )
        parameters |= {"after_ms": place.cohort_ms, "after_id": place.generation}
        parameters |= {"after_choice": place.choice_index, "after_app": place.app}
    order = ", ".join(f"{name} {direction}" for name in _KEY.strip("()").replace("(generation_id)", "#").split(", "))
    statement = (
        f"SELECT cohort_ms, toUInt128(generation_id), choice_index, app FROM suggestions FINAL PREWHERE {hours} "
        f"WHERE {' AND '.join(parts)} ORDER BY {order.replace('#', '(generation_id)')} LIMIT {{limit:UInt32}}"
    )
    return [Place(rank, *row) for row in client.query(statement, parameters, settings)]


def _rows(client: Client, listing: Listing, places: Sequence[Place]) -> list[Suggestion]:
    """The rows at some places. One that is not there any more, because it was forgotten meanwhile, is left out."""
    if not places:
        return []
    keys = [(each.app, each.generation, each.choice_index) for each in places]
    columns = [*COLUMNS, "toString(generation_id) AS generation_id", f"{STATE} AS state"]
    columns.append("if(state = '', -1, checks.distance_ratio[indexOf(checks.horizon_s, {horizon_s:UInt32})]) AS ratio")
    columns += ["toUInt128(s.generation_id) AS number", "arrayZip(judged.evaluation, judged.label) AS judgements"]
    statement = (
        f"SELECT {', '.join(columns)} FROM suggestions AS s FINAL "
        "PREWHERE (s.app, toUInt128(s.generation_id), s.choice_index) IN "
        "(SELECT each.1, each.2, each.3 FROM (SELECT arrayJoin({keys:Array(Tuple(String, UInt128, UInt16))}) AS each))"
    )
    found = client.query_dicts(statement, {"keys": keys, "horizon_s": listing.horizon_s}, FINAL)
    by_key = {(row["app"], row.pop("number"), row["choice_index"]): row for row in found}
    return [
        Suggestion(place, place.rank, _plain(by_key[key]))
        for place, key in zip(places, keys, strict=True)
        if key in by_key
    ]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    ratio = row["ratio"]
    values = {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}
    return values | {"distance_ratio": None if ratio < 0 else ratio}
