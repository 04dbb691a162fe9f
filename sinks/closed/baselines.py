"""The rates to expect, for rules that must work without the detector's running state: computed daily, and kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.sinks.closed.batches import RETENTION
from keeprate.sinks.store.clickhouse import Client

REFERENCE: Final = timedelta(days=28)
GAP: Final = timedelta(days=1)
"""What is compared with the baseline is not in it, for at least so long."""
MIN_EVENTS: Final = 300
Series = tuple[str, str, str, str]
"""App, prompt, prompt version, model."""


@dataclass(frozen=True)
class StoredBaseline:
    """One series' rate to expect. inherited: of the prompt's other versions and models."""

    series: Series
    metric: str
    ratio: float
    events: int
    inherited: bool


@dataclass(frozen=True)
class Tally:
    """Trials and successes of one series and metric within the reference; 0 of both for one that is new since."""

    series: Series
    metric: str
    events: int
    successes: int


def tallies(client: Client, now: datetime) -> list[Tally]:
    """What each series counted in the reference, as of now. Reads only. Raises StoreError."""
    query = f"""
    SELECT app, prompt, prompt_version, model, kind,
        toUInt64(sumIf(count, batch_at < {{until:DateTime64(3, 'UTC')}})),
        toUInt64(sumIf(count, batch_at < {{until:DateTime64(3, 'UTC')}} AND outcome IN ('accepted', 'retained')))
    FROM quality_batches FINAL
    WHERE (kind = 'acceptance' OR startsWith(kind, '{RETENTION}')) AND outcome NOT IN ('closed', 'unknown')
        AND batch_at >= {{since:DateTime64(3, 'UTC')}}
    GROUP BY ALL
    """
    until = now - GAP
    parameters = {"since": _text(until - REFERENCE), "until": _text(until)}
    return [
        Tally((app, prompt, version, model), kind, events, successes)
        for app, prompt, version, model, kind, events, successes in client.query(query, parameters)
    ]


def baselines(found: Sequence[Tally]) -> list[StoredBaseline]:
    """The baseline of every series: its own where it has enough events, else its prompt's, else none."""
    pooled: dict[tuple[str, str, str], list[int]] = {}
    for each in found:
        sums = pooled.setdefault((*each.series[:2], each.metric), [0, 0])
        sums[0] += each.events
        sums[1] += each.successes
    result = []
    for each in found:
        events, successes = each.events, each.successes
        inherited = events < MIN_EVENTS
        if inherited:
            events, successes = pooled[*each.series[:2], each.metric]
        if events >= MIN_EVENTS:
            result.append(StoredBaseline(each.series, each.metric, successes / events, events, inherited))
    return result


def keep(client: Client, rows: Iterable[StoredBaseline], now: datetime) -> None:
    """Keep the baselines, as computed now; older ones of the same series are replaced."""
    columns = ("app", "prompt", "prompt_version", "model", "metric", "ratio", "events", "inherited", "computed_at")
    values = [(*row.series, row.metric, row.ratio, row.events, row.inherited, now) for row in rows]
    client.insert("quality_baselines", columns, values)


def kept(client: Client, since: datetime) -> tuple[list[StoredBaseline], datetime | None]:
    """The baselines that were computed since a time, and when the last of them was; None when there is none."""
    query = """
    SELECT app, prompt, prompt_version, model, metric, ratio, events, inherited, computed_at
    FROM quality_baselines FINAL WHERE computed_at >= {since:DateTime64(3, 'UTC')} ORDER BY 1, 2, 3, 4, 5
    """
    rows = client.query(query, {"since": _text(since)})
    found = [StoredBaseline(tuple(row[:4]), row[4], row[5], row[6], bool(row[7])) for row in rows]
    return found, max((row[8].astimezone(UTC) for row in rows), default=None)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
