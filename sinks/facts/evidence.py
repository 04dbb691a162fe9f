"""Reads of single facts, beside the numbers of `queries`: whether events arrive, and what got lost.

Every function takes a client and plain values, and returns rows with aware UTC times. It writes nothing. `apps` are
those of which it reads, empty for all. A fact that was delivered twice is one row here too, without the cost of FINAL
over the whole table.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keeprate.sinks.facts.dead_letters import ENTRIES
from keeprate.sinks.reading import counting
from keeprate.sinks.reading.counting import MOST_HORIZONS, Counts
from keeprate.sinks.reading.hours import FINAL, Known
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.store.clickhouse import Client

_RATE_OVER = timedelta(minutes=1)
_LAG_OVER = timedelta(minutes=15)
_DAY_S: Final = 86_400
OF_APPS: Final = "(empty({apps:Array(String)}) OR app IN {apps:Array(String)})"
"""Of rows of some apps, of which there may be none for all."""
SPAN: Final = "{0} >= {{since:DateTime64(3, 'UTC')}} AND {0} < {{until:DateTime64(3, 'UTC')}}"
"""[since, until), of a column."""


@dataclass(frozen=True)
class Pulse:
    """Whether events arrive.

    newest_event_at: the newest occurred_at that is not in the future; None when there is no event.
    events_per_min: what landed within the last minute.
    """

    newest_event_at: datetime | None
    events_per_min: int


@dataclass(frozen=True)
class Lag:
    """How long a topic's records took from Kafka into the store, of those that landed within 15 minutes."""

    topic: str
    rows: int
    p50_s: float
    p99_s: float
    newest_at: datetime


@dataclass(frozen=True)
class Orphans:
    """An app's suggestions whose generation has not arrived, and the oldest feedback among them."""

    app: str
    orphans: int
    suggestions: int
    oldest_at: datetime


@dataclass(frozen=True)
class Refusals:
    """Refused records of one kind; `stage` names all that refused them, `reason` is that of the latest."""

    topic: str
    stage: str
    error_type: str
    field: str
    letters: int
    newest_at: datetime
    reason: str


@dataclass(frozen=True)
class Landed:
    """An event that landed. fate: joined with its generation, an orphan, or waiting for the worker."""

    event: dict[str, Any]
    stored_at: datetime
    fate: str


def newest_landed(client: Client, since: datetime, apps: Sequence[str] = ()) -> Landed | None:
    """The event that landed last since then; None where none has."""
    parts = (
        f"SELECT event, stored_at FROM {table} WHERE stored_at >= {{since:DateTime64(3, 'UTC')}} AND {OF_APPS}"
        for table in ("generations", "feedback")
    )
    query = f"SELECT event, stored_at FROM ({' UNION ALL '.join(parts)}) ORDER BY stored_at DESC LIMIT 1"
    for text, stored_at in client.query(query, {"since": _moment(since), "apps": list(apps)}):
        event = json.loads(text)
        found = client.query(
            "SELECT min(orphan), count() FROM suggestions FINAL "
            "WHERE app = {app:String} AND toUInt128(generation_id) = toUInt128(toUUID({id:String}))",
            {"app": event["app"], "id": event["generation_id"]},
            FINAL,
        )
        orphan, count = found[0]
        return Landed(event, stored_at, ("orphan" if orphan else "joined") if count else "waiting")
    return None


def newest_refused(client: Client, since: datetime, apps: Sequence[str] = ()) -> dict[str, Any] | None:
    """The record that was refused last since then: its app, why and when; None where none was."""
    rows = client.query_dicts(
        "SELECT toString(app) AS app, toString(error_type) AS error_type, field, reason, refused_at FROM dead_letters "
        f"WHERE refused_at >= {{since:DateTime64(3, 'UTC')}} AND {OF_APPS} ORDER BY refused_at DESC LIMIT 1",
        {"since": _moment(since), "apps": list(apps)},
    )
    return rows[0] if rows else None


def pulse(client: Client, at: datetime, apps: Sequence[str] = ()) -> Pulse:
    """Whether events arrive, as of `at`."""
    # The near past first: an index prunes it to a few granules, while a maximum over all time reads the whole column.
    newest = _newest(client, at - timedelta(hours=1), at, apps) or _newest(client, None, at, apps)
    # The ledger knows no apps, so what landed of some of them is counted.
    of_apps = " UNION ALL ".join(
        f"SELECT count() AS rows FROM {table} WHERE stored_at > {{since:DateTime64(3, 'UTC')}} AND {OF_APPS}"
        for table in ("generations", "feedback")
    )
    of_all = (
        "SELECT rows FROM ledger WHERE topic IN ('keeprate.generations', 'keeprate.feedback') "
        "AND stored_at > {since:DateTime64(3, 'UTC')}"
    )
    parameters = {"since": _moment(at - _RATE_OVER), "apps": list(apps)}
    landed = client.query(f"SELECT sum(rows) FROM ({of_apps if apps else of_all})", parameters)[0][0]
    return Pulse(newest, int(landed))


def _newest(client: Client, since: datetime | None, at: datetime, apps: Sequence[str]) -> datetime | None:
    floor = "AND occurred_at > {since:DateTime64(3, 'UTC')}" if since else ""
    parts = (
        f"SELECT occurred_at FROM {table} WHERE occurred_at <= {{at:DateTime64(3, 'UTC')}} {floor} AND {OF_APPS}"
        for table in ("generations", "feedback")
    )
    parameters = {"at": _moment(at), "since": _moment(since or at), "apps": list(apps)}
    query = f"SELECT max(occurred_at), count() FROM ({' UNION ALL '.join(parts)})"
    newest, count = client.query(query, parameters)[0]
    return newest if count else None


def lag(client: Client, at: datetime, apps: Sequence[str] = ()) -> list[Lag]:
    """How far landing is behind Kafka, per topic of events.

    Only events that occurred within the last hour count: importing history is not lag.
    """
    parts = (
        f"SELECT topic, recorded_at, stored_at FROM {table} "
        f"WHERE {OF_APPS} AND occurred_at > {{hour:DateTime64(3, 'UTC')}} "
        "AND stored_at > {since:DateTime64(3, 'UTC')} AND recorded_at > {since:DateTime64(3, 'UTC')}"
        for table in ("generations", "feedback")
    )
    query = (
        "WITH greatest(0, dateDiff('millisecond', recorded_at, stored_at)) / 1000 AS took_s "
        "SELECT toString(topic), count(), quantile(0.5)(took_s), quantile(0.99)(took_s), max(stored_at) "
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY topic ORDER BY topic"
    )
    parameters = {"hour": _moment(at - timedelta(hours=1)), "since": _moment(at - _LAG_OVER), "apps": list(apps)}
    return [Lag(*row) for row in client.query(query, parameters)]


def apps(client: Client) -> frozenset[str]:
    """Every app that the store has anything of, orphans included."""
    return frozenset(str(row[0]) for row in client.query("SELECT DISTINCT app FROM outcomes"))


def orphans(
    client: Client, since: datetime, until: datetime, apps: Sequence[str] = (), summed: Known | None = None
) -> list[Orphans]:
    """Apps with feedback in [since, until) whose generation has not arrived, the most orphans first.

    summed: what is known to be summed of a span that holds this one, as of `until`.
    """
    scope = Scope(since, until, until, ("app",), {"app": apps} if apps else {}, bucket_s=_DAY_S)
    found: dict[str, list[Counts]] = defaultdict(list)
    for row in counting.suggestions(client, scope, ("orphans", "suggestions"), summed):
        found[row["app"]].append(row)
    first = {app: min((row["bucket_ms"] for row in rows if row["orphans"]), default=0) for app, rows in found.items()}
    oldest = _oldest_orphans(client, scope, {app: day_ms for app, day_ms in first.items() if day_ms})
    sums = [
        Orphans(app, sum(row["orphans"] for row in found[app]), sum(row["suggestions"] for row in found[app]), at)
        for app, at in oldest.items()
    ]
    return sorted(sums, key=lambda each: (-each.orphans, each.app))


def _oldest_orphans(client: Client, scope: Scope, days_ms: Mapping[str, int]) -> dict[str, datetime]:
    """By app, given the day that it is of: the whole span is too long to look through."""
    if not days_ms:
        return {}
    days = " OR ".join(
        f"(app = {{app_{at}:String}} AND hour BETWEEN {{day_{at}:UInt32}} AND {{day_{at}:UInt32}} + 23)"
        for at in range(len(days_ms))
    )
    parameters: dict[str, Any] = scope.parameters()
    for at, (app, day_ms) in enumerate(days_ms.items()):
        parameters |= {f"app_{at}": app, f"day_{at}": day_ms // HOUR_MS}
    orphan = f"{scope.condition()} AND ({days}) AND orphan"
    query = f"SELECT app, min(cohort_at) FROM suggestions FINAL WHERE {orphan} GROUP BY app"
    return {str(app): at for app, at in client.query(query, parameters, FINAL)}


def refusals(
    client: Client, since: datetime, until: datetime, limit: int = 1000, apps: Sequence[str] = ()
) -> list[Refusals]:
    """Records refused last in [since, until), by kind, the most frequent first: each once, whoever refused it.

    Of a record that is too broken to say its app, only who reads of all apps is told.
    """
    query = (
        "SELECT topic, arrayStringConcat(stages, '+') AS stage, toString(error_type), field, count() AS letters, "
        f"max(refused_at), argMax(reason, refused_at) FROM ({ENTRIES}) "
        f"WHERE {SPAN.format('refused_at')} AND {OF_APPS} GROUP BY topic, stage, error_type, field "
        "ORDER BY letters DESC, error_type, field, topic, stage LIMIT {limit:UInt32}"
    )
    parameters = {**span(since, until), "limit": limit, "apps": list(apps)}
    return [Refusals(*row) for row in client.query(query, parameters)]


def horizons(
    client: Client, since: datetime, until: datetime, apps: Sequence[str] = (), summed: Known | None = None
) -> dict[str, list[int]]:
    """The horizons, in seconds, that retention checks of each app's generations in [since, until) have, ascending; of
    too many the most checked, as numbers have them. summed: as in `counting.horizons`."""
    scope = Scope(since, until, until, only={"app": apps} if apps else {})
    found = counting.horizons(client, scope, summed)
    if any(len(of_app) > MOST_HORIZONS for of_app in found.values()):
        found = {app: set[int]() for app in found}
        for app, horizon_s in counting.most_checked(client, scope, summed=summed):
            found[app].add(horizon_s)
    return {app: sorted(of_app) for app, of_app in found.items()}


def span(since: datetime, until: datetime) -> dict[str, Any]:
    """What `SPAN` refers to."""
    return {"since": _moment(since), "until": _moment(until)}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
