"""What a screen reads, and when."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, cast

import pytest

from keeprate.deploy.page import happenings
from keeprate.deploy.page.definitions import METRICS, VARIANTS
from keeprate.deploy.page.reads import Reads, pooled
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.selection import parse
from keeprate.sinks.facts import evidence
from keeprate.sinks.reading import queries, splitting
from keeprate.sinks.reading.hours import Known
from keeprate.sinks.reading.queries import RetentionRate
from keeprate.sinks.reading.rates import RETENTION, counts_of
from keeprate.sinks.reading.scope import Scope

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_screen_reads_retention_beside_the_other_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the other to be under way, and both are asked once, however many parts need them."""
    both, asked = threading.Barrier(2, timeout=30), list[str]()

    def answer(name: str) -> Any:
        def ask(*_: Any) -> list[Any]:
            asked.append(name)
            both.wait()
            return [{"era": "now", "bucket_ms": 0}]

        return ask

    def known(*_: Any) -> Known:
        asked.append("known")
        return Known(0, 0)

    monkeypatch.setattr(splitting, "known", known)
    monkeypatch.setattr(queries, "counted", answer("counted"))
    monkeypatch.setattr(queries, "counted_at_horizons", answer("horizons"))
    reads = Reads(cast(Any, None), NOW, Recent(lambda: 0.0))
    selection = parse({"period": "7d"})
    reads.begin(selection)
    for _ in range(2):
        reads.counts(selection, "now")
        reads.at_horizons(selection, "now")
    assert sorted(asked) == ["counted", "horizons", "known"]


def test_what_is_summed_is_asked_once_of_the_longest_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ninety days and the ninety before are more than the span in which names and horizons are looked for."""
    asked: list[datetime] = []

    def known(_: Any, scope: Scope) -> Known:
        asked.append(scope.since)
        return Known(0, 0)

    monkeypatch.setattr(splitting, "known", known)
    monkeypatch.setattr(evidence, "horizons", lambda *_: {})
    reads = Reads(cast(Any, None), NOW, Recent(lambda: 0.0))
    selection = happenings.known(reads, parse({"period": "90d"}))
    reads.summed(selection.all_spans(NOW, in_buckets=True))
    reads.summed(selection.scope("now", NOW))
    reads.summed(reads.named)
    assert asked == [NOW - timedelta(days=180)]


def test_one_metric_has_the_rates_that_it_has_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of retention, at the horizon that is chosen."""
    names = sorted(counts_of(RETENTION, tuple(name for name, _, _ in VARIANTS.values())))
    rows = [
        {"era": era, "bucket_ms": 0, "model": model, "horizon_s": horizon_s} | dict.fromkeys(names, number)
        for number, (era, model, horizon_s) in enumerate(product((0, 1, 2), "xy", (30, 60)), 1)
    ]
    monkeypatch.setattr(splitting, "known", lambda *_: Known(0, 0))
    monkeypatch.setattr(queries, "counted_at_horizons", lambda *_: rows)
    reads = Reads(cast(Any, None), NOW, Recent(lambda: 0.0))
    selection = parse({"period": "7d", "by": "model", "horizon": "60", "metric": "retention"})
    every = cast(list[RetentionRate], reads.rates("retention_rates", selection, "over_time"))
    metric = METRICS["retention"]
    expected = [each for each in every if each.metric == metric.name and each.horizon_s == 60]
    assert len(expected) == 2
    assert reads.rates_of(metric, selection, "over_time") == expected


def test_sums_of_rows_are_by_what_they_share() -> None:
    """Of what is not named there is one row, the horizons stay apart, and what was given is as it was."""
    rows = [
        {"bucket_ms": 0, "app": app, "model": model, "horizon_s": horizon_s, "observed": number}
        for number, (app, model, horizon_s) in enumerate(product("ab", "xy", (30, 60)), 1)
    ]
    given = [dict(row) for row in rows]
    assert pooled(rows, ("bucket_ms", "app")) == [
        {"bucket_ms": 0, "app": "a", "horizon_s": 30, "observed": 1 + 3},
        {"bucket_ms": 0, "app": "a", "horizon_s": 60, "observed": 2 + 4},
        {"bucket_ms": 0, "app": "b", "horizon_s": 30, "observed": 5 + 7},
        {"bucket_ms": 0, "app": "b", "horizon_s": 60, "observed": 6 + 8},
    ]
    assert rows == given
    assert pooled([], ("bucket_ms",)) == []
