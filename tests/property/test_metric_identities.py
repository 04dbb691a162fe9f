"""METRICS' identities and invariants hold in the views whatever was sent, and a plain oracle counts the same."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.schemas.events import Event, is_late_check
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import FIELDS, Outcome
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.queries import Rate
from keeprate.sinks.reading.scope import GRACE_S, Scope
from keeprate.sinks.store.clickhouse import Client
from tests.examples import examples
from tests.reading import load, load_facts, reading
from tests.strategies import BASE_MS, logs, shuffled_with_duplicates

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow]

BASE_AT = datetime.fromtimestamp(BASE_MS / 1000, UTC)
# The accepts of the strategy lie within 5 s: by 431 s some have matured for the horizon of 120 s and some have not.
AS_OF_MS = BASE_MS + 3000 + 120_000 + 300_000
REGISTERS = {
    field.name: [part.strip().split()[0] for part in field.type.removeprefix("Tuple(").removesuffix(")").split(",")]
    for field in FIELDS
    if field.type.startswith("Tuple")
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        yield client


def scopes() -> st.SearchStrategy[Scope]:
    by = st.lists(st.sampled_from(["app", "model", "user", "language"]), unique=True)
    return st.tuples(by, st.sampled_from([0, 1, 2])).map(
        lambda drawn: Scope(
            since=BASE_AT,
            until=BASE_AT + timedelta(hours=1),
            as_of=datetime.fromtimestamp(AS_OF_MS / 1000, UTC),
            by=drawn[0],
            bucket_s=drawn[1],
        )
    )


def _all_rates(client: Client, scope: Scope) -> list[Rate]:
    return [
        *queries.rates(client, scope),
        *queries.retention_rates(client, scope),
        *queries.feedback_rates(client, scope),
        *queries.judge_rates(client, scope),
    ]


@settings(max_examples=examples(6))
@given(st.data())
def test_order_and_duplication_change_no_number(engine: Client, data: st.DataObject) -> None:
    """A log has the same rates shuffled and repeated, and merged by ClickHouse instead of Python."""
    log, scope = data.draw(logs()), data.draw(scopes())
    load(engine, log)
    expected = _all_rates(engine, scope), queries.funnel(engine, scope), queries.retention(engine, scope)
    load_facts(engine, data.draw(shuffled_with_duplicates(log)))
    assert (_all_rates(engine, scope), queries.funnel(engine, scope), queries.retention(engine, scope)) == expected


@settings(max_examples=examples(8))
@given(logs(60), scopes())
def test_identities(engine: Client, log: list[Event], scope: Scope) -> None:
    """Every rate is its quotient, lies in its interval, and the identities of the funnel and of retention hold."""
    load(engine, log)
    for row in queries.funnel(engine, scope):
        assert row.shown == row.accepted + row.rejected + row.ignored + row.superseded + row.unanswered
        assert row.accepted_full <= row.accepted <= row.shown_read <= row.shown
        assert row.active_hours <= row.active_hours_any
    for kept in queries.retention(engine, scope):
        assert kept.accepted == kept.observed + kept.unobserved + kept.missing + kept.late
        assert kept.unchanged <= kept.mostly <= kept.observed
        assert kept.removed <= kept.substantially_changed == kept.observed - kept.mostly
    for rate in _all_rates(engine, scope):
        _is_consistent(rate)
    _acceptance_identity(queries.rates(engine, scope))
    _retention_order(queries.retention_rates(engine, scope))


def _is_consistent(rate: Rate) -> None:
    if rate.denominator == 0:
        assert rate.value is None
        return
    assert rate.value == rate.numerator / rate.denominator
    assert rate.coverage is None or 0 <= rate.coverage <= 1
    if rate.interval_low is not None and rate.interval_high is not None:
        assert 0 <= rate.interval_low <= rate.value <= rate.interval_high <= 1


def _grouped(rows: list[Any], *names: str) -> dict[tuple[object, ...], dict[str, Any]]:
    groups: dict[tuple[object, ...], dict[str, Any]] = defaultdict(dict)
    for row in rows:
        where = (row.bucket_at, *row.dimensions.values(), *(getattr(row, name) for name in names))
        groups[where][row.metric] = row
    return groups


def _acceptance_identity(rows: list[Rate]) -> None:
    """acceptance_rate × shown_rate = efficiency, exactly: as counts, so that no rounding is forgiven."""
    for rates in _grouped(rows).values():
        acceptance, shown, efficiency = rates["acceptance_rate"], rates["shown_rate"], rates["efficiency"]
        assert acceptance.denominator == shown.numerator
        assert (acceptance.numerator, shown.denominator) == (efficiency.numerator, efficiency.denominator)


def _retention_order(rows: list[queries.RetentionRate]) -> None:
    for rates in _grouped(rows, "horizon_s").values():
        coverage = rates["retention_coverage"]
        if not coverage.numerator:
            continue
        values = [
            rates["persistence_rate"].value,
            rates["fuzzy_persistence_lower"].value,
            rates["fuzzy_persistence_observed"].value,
            rates["fuzzy_persistence_paper"].value,
        ]
        assert values == sorted(values)
        assert (len(set(values[1:])) == 1) == (coverage.value == 1 or values[2] == 0 == values[3])
        assert rates["persistence_rate"].denominator == coverage.denominator
        assert rates["efficiency"].numerator == rates["persistence_rate"].numerator


@settings(max_examples=examples(8))
@given(logs(60))
def test_counts_are_the_oracles(engine: Client, log: list[Event]) -> None:
    """A plain reading of METRICS, suggestion by suggestion in Python, counts the same."""
    load(engine, log)
    scope = Scope(BASE_AT, BASE_AT + timedelta(hours=1), datetime.fromtimestamp(AS_OF_MS / 1000, UTC), by=["app"])
    outcomes = fold(log)
    funnel = {
        row.dimensions["app"]: {name: getattr(row, name) for name in _FUNNEL} for row in queries.funnel(engine, scope)
    }
    assert funnel == _funnel_oracle(outcomes)
    retention = {
        (row.dimensions["app"], row.horizon_s, name): getattr(row, name)
        for row in queries.retention(engine, scope)
        for name in _STATES
        if getattr(row, name)
    }
    assert retention == _retention_oracle(outcomes)


_FUNNEL = ("opportunities", "shown", "accepted", "accepted_full", "auto_applied", "accepted_char", "orphans", "undone")
_STATES = ("unchanged", "removed", "unobserved", "missing", "late", "maturing", "branch_changed")


def _named(field: str, register: list[Any]) -> dict[str, Any]:
    return dict(zip(REGISTERS[field], register, strict=True))


def _funnel_oracle(outcomes: dict[str, Outcome]) -> dict[str, dict[str, float]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    generations = {app: set[str]() for app in ("chat", "editor")}
    for key, outcome in outcomes.items():
        app, generation_id, _ = key.split("/")
        first, last = outcome.get("first_at", {}), outcome.get("last_at", {})
        if "generation" not in outcome:
            counts[app]["orphans"] += 1
            continue
        generations[app].add(generation_id)
        accepted = "accept" in first or "accept_partial" in first
        auto = "accept_auto" in first and not accepted
        taken_at = max(last.get(action, 0) for action in ("accept", "accept_partial", "accept_auto"))
        counts[app] += Counter(
            shown=(accepted or "shown" in first) and not auto,
            accepted=accepted,
            accepted_full="accept" in first,
            auto_applied=auto,
            accepted_char=outcome.get("accepted_length", 0) * accepted,
            undone=0 < taken_at <= last.get("undo", 0),
        )
    for app, ids in generations.items():
        counts[app]["opportunities"] = len(ids)
    seen = {key.split("/")[0] for key in outcomes}
    return {app: {name: counts[app][name] for name in _FUNNEL} for app in seen}


def _retention_oracle(outcomes: dict[str, Outcome]) -> Counter[tuple[str, int, str]]:
    joined = {key: outcome for key, outcome in outcomes.items() if "generation" in outcome}
    horizons: dict[str, set[int]] = defaultdict(set)
    for key, outcome in joined.items():
        horizons[key.split("/")[0]] |= {int(at) for at in outcome.get("retention", {}) if at.isdigit()}
    counts: Counter[tuple[str, int, str]] = Counter()
    for key, outcome in joined.items():
        app = key.split("/")[0]
        if "accept" in outcome and outcome.get("accepted_length") != 0:
            for horizon_s in horizons[app]:
                counts[app, horizon_s, _state(outcome, horizon_s)] += 1
    return Counter({key: count for key, count in counts.items() if key[2] in _STATES})


def _state(outcome: Outcome, horizon_s: int) -> str:
    accept = _named("accept", outcome["accept"])
    if AS_OF_MS - accept["occurred_at"] < horizon_s * 1000 + GRACE_S * 1000:
        return "maturing"
    register = outcome.get("retention", {}).get(str(horizon_s))
    if register is None:
        return "missing"
    check = _named("retention", register)
    if check["accept_seq"] != accept["accept_seq"]:
        return "missing"
    if check["branch_changed"]:
        return "branch_changed"
    if check["status"] == "unobserved":
        return "unobserved"
    if is_late_check(horizon_s, check["elapsed_ms"]):
        return "late"
    if check["status"] == "removed":
        return "removed"
    return "unchanged" if check["distance"] == 0 else "changed"
