"""What is asked of a store with shards: planned over Distributed tables, and answered from rows that lie apart.

The engine at hand cannot speak to other servers, so over Distributed every statement is planned, and must fail for
nothing but that nobody answers: a subquery without GLOBAL would be refused before that. That the answers are right is
shown over Merge tables, with the sums of hours that each shard makes of its own rows.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from keeprate.deploy.doctor import store as doctor
from keeprate.deploy.grafana.writing import texts
from keeprate.schemas.forgotten import PersonTrace
from keeprate.sinks.checks import agreement, backwards, conflicts, reconcile
from keeprate.sinks.checks.agreement import Suspects
from keeprate.sinks.checks.verification import CheckScope, verify
from keeprate.sinks.closed import baselines, batches, drift_states, release_verdicts, released, watched, watermarks
from keeprate.sinks.erasure import forget
from keeprate.sinks.erasure.statements import Statements
from keeprate.sinks.facts import case_results, chain, corrections, dead_letters, evidence, orphans, said, trace
from keeprate.sinks.reading import counting, cuts, hours, queries, versions, voices
from keeprate.sinks.reading.lists.listing import Listing, page
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.voices import Scales
from keeprate.sinks.store.clickhouse import Client, Row, Settings, StoreError, StoreUnavailableError
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.upkeep import recompute
from keeprate.sinks.upkeep.recompute import GenerationFilter
from keeprate.sinks.upkeep.replay import replay
from tests.dashboards.interpolation import Span, sql, targets
from tests.pages import NOW, history, land_in
from tests.shards import NAMES, NOBODY_ANSWERS, Sharded, made, merged, sharded

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow]

SINKS = Path(queries.__file__).parents[1]
ROOMS = ("reading", "facts", "closed", "erasure", "checks", "upkeep")
ASKED = ("query", "query_dicts", "query_bytes")
# What derives, sums and builds anew is run on each shard by itself, where nothing is Distributed.
ON_A_SHARD = {
    *("create", "touch", "_unsummed"),
    *("_derive_into", "_pages", "_catch_up", "_wait_for_writers", "_number", "_compare", "differing"),
    *("check_places", "make_table", "_is_made", "has_table", "_copy_notes", "_rewrite_rows"),
    # No table is named in them.
    *("_partitions_of", "_wrong"),
}
SINCE = NOW - timedelta(days=8)
SCOPE = Scope(SINCE, NOW, NOW, by=["app", "model"])
CUT_AT = NOW - timedelta(days=3)
EDITOR = replace(SCOPE, only={"app": ["editor"]})

_TARGETS = [each for name, text in texts().items() for each in targets(name.removesuffix(".json"), text)]
PANELS = {each.name: each.sql for each in _TARGETS if each.sql}
_READS = re.compile(r"\bFROM\s+(?!system\.)\w")

Site = tuple[str, int]


class Noted(Client):
    """A client that notes what it is asked, and from where."""

    def __init__(self, client: Client) -> None:
        super().__init__(client._driver)
        self.asked: dict[str, tuple[Mapping[str, Any] | None, Settings | None]] = {}
        self.sites: set[Site] = set()

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        self._note(statement, parameters, settings)
        return super().query(statement, parameters, settings)

    def query_dicts(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[dict[str, Any]]:
        self._note(statement, parameters, settings)
        return super().query_dicts(statement, parameters, settings)

    def query_bytes(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        format_name: str = "JSONEachRow",
        settings: Settings | None = None,
    ) -> bytes:
        self._note(statement, parameters, settings)
        return super().query_bytes(statement, parameters, format_name, settings)

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Of what inserts what it selects, that is asked of all shards."""
        if statement.startswith("INSERT"):
            self._note(statement[statement.index("SELECT") :], parameters, None)
        super().command(statement, parameters)

    def _note(self, statement: str, parameters: Mapping[str, Any] | None, settings: Settings | None) -> None:
        frame = sys._getframe(2)
        self.sites.add((frame.f_code.co_filename, frame.f_lineno))
        self.asked.setdefault(statement, (parameters, settings))


@pytest.fixture(scope="module")
def store() -> Iterator[Sharded]:
    """The demo's history on three shards, of which the second has summed some of its hours and the third all."""
    with sharded(history()) as store:
        hours.sum_quiet(store.shards[1], quiet_s=0, limit=60)
        while hours.sum_quiet(store.shards[2], quiet_s=0):
            pass
        yield store


QUESTIONS: dict[str, Callable[[Client], Any]] = {
    "funnel": lambda client: queries.funnel(client, SCOPE),
    "funnel by day": lambda client: queries.funnel(client, replace(SCOPE, bucket_s=86_400)),
    "rates of one app": lambda client: queries.rates(client, EDITOR),
    "user rates": lambda client: queries.user_rates(client, SCOPE),
    "one user": lambda client: queries.funnel(client, replace(SCOPE, only={"user": [_user(client)]})),
    "retention": lambda client: queries.retention(client, SCOPE),
    "retention of a span that nothing sums": lambda client: queries.retention(client, replace(SCOPE, bucket_s=600)),
    "retention rates": lambda client: queries.retention_rates(client, replace(SCOPE, bucket_s=86_400)),
    "feedback rates": lambda client: queries.feedback_rates(client, SCOPE),
    "judge rates": lambda client: queries.judge_rates(client, SCOPE),
    "models": lambda client: queries.dimension_values(client, SCOPE, "model"),
    "span": queries.event_span,
    "cuts": lambda client: _sorted(cuts.before_and_after(client, SCOPE, CUT_AT, "acceptance_rate")),
    "cuts of retention": lambda client: _sorted(cuts.before_and_after(client, EDITOR, CUT_AT, "retention", 600)),
    "listing": lambda client: _page(client, Listing(EDITOR, fate="accepted", horizon_s=600)),
    "listing the worst": lambda client: _page(client, Listing(EDITOR, fate="not_kept", horizon_s=600, order="worst")),
    "a release by hour": lambda client: _sorted(versions.by_hour(client, _versions(client), SINCE, NOW, NOW)),
    "a release by user": lambda client: _sorted(versions.by_user(client, _versions(client), SINCE, NOW, NOW)),
    "what judges said": lambda client: voices.judgements(client, voices.heard(client, SCOPE, 600), Scales()),
    "what users said and kept": lambda client: voices.said_and_kept(voices.heard(client, SCOPE, 600)),
    "what people said": lambda client: voices.words(client, SCOPE, 600, Scales()),
    "orphans": lambda client: evidence.orphans(client, SINCE, NOW),
    "orphans by age": lambda client: sorted(orphans.by_age(client, NOW).items()),
}
"""Whose answers are the same wherever the rows are."""


def _page(client: Client, asked: Listing) -> list[Any]:
    return [row.identity for row in page(client, asked, 60).rows]


def _sorted(rows: Iterable[Any]) -> list[Any]:
    """Rows that come in any order."""
    return sorted(rows, key=str)


def _user(client: Client) -> str:
    ((user,),) = client.query("SELECT min(user) FROM suggestions WHERE user != ''")
    return str(user)


def _versions(client: Client) -> versions.Versions:
    """The models of the first app and surface that are found."""
    family, name, *_ = versions.traffic(client, "model", SINCE, NOW)[0]
    return versions.Versions("model", tuple(family), (name,))


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_the_same_from_three_shards_and_from_one(store: Sharded, question: str) -> None:
    """Where no hour is summed, where some are, and where another shard's are."""
    ask = QUESTIONS[question]
    expected = ask(store.one)
    assert expected
    assert ask(store.together) == expected


def test_a_shard_that_is_touched_leaves_the_sums_of_the_others(store: Sharded) -> None:
    """What is known of an hour is known by every shard that has some of it."""
    first, last = int(SINCE.timestamp()) // 3600, int(NOW.timestamp()) // 3600 - 1
    known = [hours.known(client, first, last, (), 1 << 62) for client in (*store.shards, store.together)]
    assert [each.any for each in known] == [False, True, True, True]
    others = [set(each.others) for each in known]
    assert others[2] == set()
    assert others[3] == others[0] | others[1]
    assert others[0] != others[1]


def test_rows_that_are_divided_anew_come_to_the_same_answers(store: Sharded) -> None:
    """From three shards to two, as docs/operations.md has it: facts by the hash, and all else from them."""
    shards = [made(store.database(f"r{number + 1}"), number, 2) for number in range(2)]
    for number, shard in enumerate(shards):
        for old, table in product(NAMES, ("generations", "feedback")):
            here = f"kafkaMurmurHash(toString(generation_id)) % 2 = {number}"
            shard.command(f"INSERT INTO {table} SELECT * FROM {old}.{table} WHERE {here}")
        assert replay(Servers([shard]), GenerationFilter(), writes=True).written
    again = merged(store.database("again"), "r", store.one)
    for question in ("funnel", "retention", "feedback rates", "user rates"):
        assert QUESTIONS[question](again) == QUESTIONS[question](store.one)


def test_every_statement_is_one_that_distributed_tables_take(store: Sharded) -> None:
    """Each is planned over three shards, and fails for nothing but that they do not answer; none is left out."""
    # Of hours that are summed, other statements are asked than of those that are not.
    hours.sum_quiet(store.one, quiet_s=0, limit=150)
    noted = Noted(store.one)
    for ask in (*QUESTIONS.values(), *_MORE):
        ask(noted)
    _check(odd := _landed(store.database("odd")))
    _forget(forgetful := _landed(store.database("forgetful")))
    for each in (noted, odd, forgetful):
        assert {asked: why for asked in each.asked if (why := _planned(store.spread, each, asked))} == {}
    assert _sites() - noted.sites - odd.sites - forgetful.sites == set()


def _landed(client: Client) -> Noted:
    """With some of the history; what derives it is not noted."""
    land_in(made(client), history()[:200])
    return Noted(client)


def _check(client: Client) -> None:
    """All that verifying and reconciling ask, of a store in which something is to be found."""
    client.insert("ledger", ("sink", "topic", "partition", "last_offset"), [("s", "keeprate.feedback", 0, 1000)])
    for scope in (CheckScope(settled_s=0), CheckScope(SINCE, NOW, settled_s=0, max_facts=100)):
        verify(client, None, scope)
    first = _first(client)
    backwards.ledger_ends(client)
    conflicts.rows_of(client, [(*first, first[1])])
    assert list(recompute.listed(client, GenerationFilter(until=NOW)))
    agreement.judge(client, Suspects(missing={first: (0, NOW.date())}, orphans={first: (0, NOW.date())}), lambda: [0])
    reconcile.producers(client)
    reconcile.unmerged_numbers(client)
    reconcile.unnumbered(client)
    reconcile._gaps(client, ["p"], 5)


def _forget(client: Client) -> None:
    """All that forgetting asks of the whole store, and a sink that keeps watch."""
    user = _user(client)
    forget.count(client, person := forget.find(client, user))
    assert forget.forget(client, person, "test", settle_s=0)
    assert forget.forget(client, forget.find(client, user), "test", settle_s=0) is None
    client.command(Statements().close_letters(), person.parameters)
    forget.receipts(client)
    forget.unfinished(client, {})
    watch = forget.Watch(client)
    watch()
    watch.learn([PersonTrace("session", "editor", "s", person.digest, "forgotten-1")])


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_asks_what_distributed_tables_take(store: Sharded, name: str) -> None:
    """The dashboards' SQL, as Grafana sends it."""
    noted = Noted(store.one)
    noted.query(sql(PANELS[name], {name: ["editor"] for name in ("app", "prompt", "version")}, Span(SINCE, NOW, 60)))
    assert [_planned(store.spread, noted, asked) for asked in noted.asked] == [""]


class _Skipping(Client):
    """As a user whose profile leaves out the shards that are down."""

    profile: Final = {"skip_unavailable_shards": 1}

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        return super().query(statement, parameters, {**(settings or {}), **self.profile})

    def query_dicts(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[dict[str, Any]]:
        return super().query_dicts(statement, parameters, {**(settings or {}), **self.profile})


def test_a_shard_that_is_down_is_an_error_and_no_smaller_number(store: Sharded) -> None:
    """By default. A profile may have it otherwise, which nobody sees by the answer: the doctor tells of that."""
    skipping = _Skipping(store.half._driver)
    for question in ("funnel", "retention", "listing"):
        with pytest.raises(StoreUnavailableError) as error:
            QUESTIONS[question](store.half)
        assert error.value.code == NOBODY_ANSWERS
        assert QUESTIONS[question](store.one) != QUESTIONS[question](skipping) == QUESTIONS[question](store.shards[0])
    assert [each.state for each in doctor.check_answers(store.half, "who reads")] == ["ok"]
    (found,) = doctor.check_answers(skipping, "who reads")
    assert (found.state, "who reads" in found.said) == ("fault", True)
    assert list(doctor.check_answers(store.one, "who reads")) == []


def _planned(client: Client, noted: Noted, statement: str) -> str:
    """What is wrong with it; '' where nothing is, and where it reads no table."""
    parameters, settings = noted.asked[statement]
    if not _READS.search(statement):
        return ""
    try:
        client.query(statement, parameters, {**(settings or {}), "connections_with_failover_max_tries": 1})
    except StoreError as error:
        return "" if error.code == NOBODY_ANSWERS else str(error)
    return "it asks no shard"


def _sites() -> set[Site]:
    """Where a question is asked, but for those that are asked of one shard."""
    found = set()
    for path in (path for room in ROOMS for path in (SINKS / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name not in ON_A_SHARD:
                calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
                found |= {
                    (str(path), call.lineno)
                    for call in calls
                    if isinstance(call.func, ast.Attribute) and call.func.attr in ASKED
                }
    return found


def _first(client: Client) -> tuple[str, str]:
    ((app, identity),) = client.query("SELECT app, toString(generation_id) FROM generations LIMIT 1")
    return str(app), str(identity)


_JUDGED = versions.ReleaseMetric(name="judge_grounded", more_is_better=True)
_KNOWN = {metric: watched.named(metric.name).success([]) for metric in (released.METRICS[0], _JUDGED)}
_LAST_HOUR = (NOW - timedelta(hours=1), NOW)
_MORE: tuple[Callable[[Client], Any], ...] = (
    lambda client: voices.reviewed(client, [_first(client)]),
    lambda client: versions.first_at(client, _versions(client), int(NOW.timestamp()) // 3600 - 1),
    lambda client: chain.chain(client, *_first(client)),
    lambda client: said.story(client, *_first(client)),
    lambda client: chain.reports(client, _first(client)[0], [_first(client)[1]]),
    lambda client: trace.find(client, _first(client)[1]),
    lambda client: dead_letters.count_by_reason(client, dead_letters.Filter()),
    lambda client: dead_letters.newest(client, dead_letters.Filter(), 5),
    lambda client: dead_letters.find(client, "keeprate.feedback/0/1"),
    lambda client: dead_letters.open_records(client, dead_letters.Filter(), 5),
    lambda client: evidence.newest_landed(client, SINCE),
    lambda client: evidence.newest_refused(client, SINCE),
    lambda client: evidence.pulse(client, NOW),
    lambda client: evidence.lag(client, NOW),
    evidence.apps,
    lambda client: evidence.refusals(client, *_LAST_HOUR),
    lambda client: said.remarks(client, SINCE, NOW, only={"model": ["m"]}),
    lambda client: said.remarks(client, SINCE, NOW),
    lambda client: evidence.horizons(client, SINCE, NOW),
    lambda client: [
        batches.count(client, kind, "editor", *_LAST_HOUR)
        for kind in ("feedback", "generation", "acceptance", batches.SIGNAL, f"{batches.RETENTION}300")
    ],
    batches.closed_until,
    lambda client: batches.stored(client, "acceptance", "editor", SINCE, NOW),
    lambda client: batches.horizons(client, "editor", SINCE, NOW),
    lambda client: batches.beyond(client, "editor", SINCE, NOW, [300]),
    lambda client: counting.most_checked(client, SCOPE),
    lambda client: batches.first_generation_at(client, "editor"),
    batches.series,
    lambda client: batches.recent_series(client, SINCE),
    batches.ledger,
    batches.quarantined,
    lambda client: watermarks.progress(client, NOW),
    lambda client: baselines.tallies(client, NOW),
    lambda client: baselines.kept(client, SINCE),
    lambda client: drift_states.levels(client, NOW),
    lambda client: drift_states.tallies(client, "acceptance", "editor", SINCE, NOW),
    drift_states.kept,
    lambda client: release_verdicts.kept(client, SINCE),
    lambda client: corrections.corrections(client, _first(client)[0], [_first(client)[1]]),
    lambda client: corrections.whole(client, _first(client)[0], [_first(client)[1]], [_first(client)[1]]),
    lambda client: case_results.results(client, SINCE, NOW),
    lambda client: case_results.suggestions_of(client, [(*_first(client), 0)]),
    lambda client: released.tallied(client, _versions(client), SINCE, NOW),
    lambda client: list(released.by_user(client, _versions(client), SINCE, NOW, _KNOWN)),
)
"""What else is asked, whatever comes of it."""
