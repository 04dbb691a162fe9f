"""Where a question is answered from: sums of days and of hours where they are believed, and suggestions elsewhere.

Sums of days are taken where the answer tells no hours of them apart: buckets are of whole days, and no era and no edge
of age runs through them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from keeprate.schemas.events import LATE_CHECK_MIN_MS
from keeprate.sinks.reading import hours
from keeprate.sinks.reading.hours import DAY, Known
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.store.clickhouse import Client

MOST_OTHERS: Final = 2_000
"""Hours that are not summed. Where there are more, all is read from suggestions: a statement that named them
would be too long for the engine."""
_DAY_MS: Final = DAY * HOUR_MS
_DAY_OF: Final = f"intDiv(hour, {DAY}) * {DAY}"

Place = tuple[str, int]
"""An app, and an hour or the first hour of a day."""


@dataclass(frozen=True)
class Split:
    """Conditions of what a question is answered from.

    sums: of rows of sums; '' where none is used. rows: of rows of suggestions, for the rest.
    hours: of these rows' hour alone. summed: of the suggestions that the sums stand for.
    """

    sums: str
    rows: str
    hours: str
    summed: str = ""


class Edges:
    """Horizons, ascending, and the time of the youngest accept that is old enough for each.

    hours: those that an edge runs through. until: the edge of `horizon_s`, in SQL.
    """

    def __init__(self, scope: Scope, horizons: Sequence[int]) -> None:
        grace_ms = scope.grace_s * 1000
        self.horizons = horizons
        self.until_ms = [scope.as_of_ms - maturity_ms(horizon_s, grace_ms) for horizon_s in horizons]
        self.hours = sorted({until_ms // HOUR_MS for until_ms in self.until_ms})
        late_ms = f"greatest({max(grace_ms, LATE_CHECK_MIN_MS)}, toInt64(horizon_s) * 100)"
        self.until = f"({scope.as_of_ms} - toInt64(horizon_s) * 1000 - {late_ms})"

    def age(self, at_ms: str) -> str:
        """For how many of the horizons a time is old enough; they come in the order of their edges, oldest last."""
        return f"arrayCount(until -> {at_ms} <= until, CAST({self.until_ms}, 'Array(Int64)'))"


def maturity_ms(horizon_s: int, grace_ms: int) -> int:
    """How long after an accept a check at a horizon is awaited: it may come late, and then has the grace to arrive."""
    return horizon_s * 1000 + max(grace_ms, LATE_CHECK_MIN_MS, horizon_s * 100)


def known(client: Client, scope: Scope) -> Known:
    """What is summed of the scope's whole hours; nothing where no sums can answer. It serves all questions that
    are asked at once as of one time, of that span and of spans `within` it."""
    whole = _whole_hours(scope)
    if whole is None:
        return Known(0, 0)
    return hours.known(client, *whole, scope.only.get("app", ()), scope.as_of_ms - scope.settle_s * 1000)


def within(summed: Known, scope: Scope) -> Known:
    """The same, of what is known already of a span that holds the scope's, of all its apps, as of the same time."""
    whole = _whole_hours(scope)
    return Known(0, 0) if whole is None else summed.within(*whole, scope.only.get("app", ()))


def _whole_hours(scope: Scope) -> tuple[int, int] | None:
    """The first and the last; None where there is none, or sums are not by what is asked."""
    first, last = -(-scope.since_ms // HOUR_MS), scope.until_ms // HOUR_MS - 1
    if first > last or first < 0 or "user" in (*scope.by, *scope.only):
        return None
    return first, last


def split(scope: Scope, summed: Known, edges: Collection[int] = ()) -> Split:
    """edges: hours that are read from suggestions, and days that are not taken as one."""
    days = _Days(scope, summed, edges)
    others = [each for each in summed.others if not days.answer(*each)]
    if scope.bucket_s % 3600 or not summed.any or len(others) > MOST_OTHERS:
        return Split("", scope.condition(), scope.hours)
    first, last = summed.first, summed.last
    edges = {*edges, *(era_ms // HOUR_MS for era_ms in scope.era_ms if era_ms % HOUR_MS)}
    # The first and last hour may be asked for in part.
    ends = {hour for ms in (scope.since_ms, scope.until_ms) if not first <= (hour := ms // HOUR_MS) <= last}
    every = sorted(ends | edges | {hour for _, hour in others})
    conditions = [f"hour IN {sorted(ends | edges)}"] if ends | edges else []
    whole = [f"hour BETWEEN {first} AND {last}"]
    if edges:
        whole.append(f"hour NOT IN {sorted(edges)}")
    by_hour = ["span = 1", *whole]
    if others:
        whole.append(f"(app, hour) NOT IN ({listed(others)})")
        conditions.append(f"(app, hour) IN ({listed(others)})")
    rows = f"{scope.condition()} AND ({' OR '.join(conditions) or '0'})"
    newest = hours.newest(_either(["span = 1", *whole, *days.of_hours()], days.of_days()))
    kept = scope.keeps()
    # Once by span and hour alone, which the key of the sums knows.
    sums = [*kept, _either([*by_hour, *days.of_hours(by_app=False)], days.of_days(by_app=False)), newest]
    at = f"hour IN {every}" if every else "0"
    return Split(" AND ".join(sums), rows, at, " AND ".join([*kept, *whole]))


def _either(of_hours: Sequence[str], of_days: Sequence[str]) -> str:
    """One of two conditions, each of all its parts; the second may have none, and then nothing meets it."""
    return "(" + " OR ".join(f"({' AND '.join(each)})" for each in (of_hours, of_days) if each) + ")"


class _Days:
    """Which days of a scope are answered by one sum each: [first, end) in hours, but for `cut`, and `apart` of apps."""

    def __init__(self, scope: Scope, summed: Known, edges: Iterable[int]) -> None:
        eras = (era_ms // HOUR_MS for era_ms in scope.era_ms if era_ms % _DAY_MS)
        self._cut = sorted({hour // DAY * DAY for hour in (*edges, *eras)})
        self._first, self._end = -(-summed.first // DAY) * DAY, (summed.last + 1) // DAY * DAY
        if not summed.days or scope.bucket_s * 1000 % _DAY_MS:
            self._end = self._first
        self._apart = frozenset(summed.apart)
        self._listed = sorted(each for each in self._apart if self._first <= each[1] < self._end)

    def answer(self, app: str, hour: int) -> bool:
        """Whether the day of an hour is one sum."""
        day = hour // DAY * DAY
        return self._first <= day < self._end and day not in self._cut and (app, day) not in self._apart

    def of_days(self, by_app: bool = True) -> list[str]:
        """The conditions of sums of days; none where they answer nothing. by_app: else all apps' days are met."""
        if self._first >= self._end:
            return []
        parts = [f"span = {DAY}", f"hour >= {self._first}", f"hour < {self._end}"]
        parts += [f"hour NOT IN {self._cut}"] if self._cut else []
        parts += [f"(app, hour) NOT IN ({listed(self._listed)})"] if self._listed and by_app else []
        return parts

    def of_hours(self, by_app: bool = True) -> list[str]:
        """A condition of sums of hours: days do not answer for them. by_app: else one app's are enough."""
        if self._first >= self._end:
            return []
        apart = {day for _, day in self._listed}
        parts = [f"hour < {self._first}", f"hour >= {self._end}"]
        if by_app and apart:
            parts.append(f"(app, {_DAY_OF}) IN ({listed(self._listed)})")
        if days := {*self._cut, *(() if by_app else apart)}:
            parts.append(f"{_DAY_OF} IN {sorted(days)}")
        return [f"({' OR '.join(parts)})"]


def listed(places: Iterable[Place]) -> str:
    """Pairs of an app and a number, as a list in SQL."""
    return ", ".join(f"({_text(app)}, {hour})" for app, hour in places)


def _text(value: str) -> str:
    """A literal of a name that the store itself gave out."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
