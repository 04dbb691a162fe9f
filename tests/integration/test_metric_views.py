"""Case by case: what each kind of fact does to the numbers of the views."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeprate.schemas.events import Event
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.counting import MOST_HORIZONS
from keeprate.sinks.reading.queries import FeedbackRate, Funnel, JudgeRate, Retention
from keeprate.sinks.reading.scope import GRACE_S, SETTLE_S, Scope, ScopeError
from keeprate.sinks.store.clickhouse import Client
from tests.facts import START_MS, Facts
from tests.reading import load_facts, reading

pytestmark = pytest.mark.clickhouse

START_AT = datetime.fromtimestamp(START_MS / 1000, UTC)
SCOPE = Scope(since=START_AT, until=START_AT + timedelta(days=1), as_of=START_AT + timedelta(days=30))


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        yield client


@pytest.fixture
def facts() -> Facts:
    return Facts()


def funnel_of(engine: Client, log: list[Event], scope: Scope = SCOPE) -> Funnel:
    load_facts(engine, log)
    (row,) = queries.funnel(engine, scope)
    return row


def retention_of(engine: Client, log: list[Event], horizon_s: int = 30, scope: Scope = SCOPE) -> Retention:
    load_facts(engine, log)
    (row,) = (row for row in queries.retention(engine, scope) if row.horizon_s == horizon_s)
    return row


def rate_of(engine: Client, log: list[Event], metric: str, scope: Scope = SCOPE) -> queries.Rate:
    load_facts(engine, log)
    (row,) = queries.rates(engine, scope, [metric])
    return row


def feedback_of(engine: Client, log: list[Event], metric: str, label: str = "") -> FeedbackRate:
    load_facts(engine, log)
    (row,) = (row for row in queries.feedback_rates(engine, SCOPE, [metric]) if row.label == label)
    return row


def judge_of(engine: Client, log: list[Event], metric: str, label: str = "") -> JudgeRate:
    load_facts(engine, log)
    (row,) = (row for row in queries.judge_rates(engine, SCOPE, [metric]) if row.label == label)
    return row


def accepted(facts: Facts, name: str, length: int | None = 4, **fields: Any) -> list[Event]:
    return [
        facts.generation(name),
        facts.action(name, "shown", 500, length=length),
        facts.action(name, "accept", 1000, length=length, **fields),
    ]


def test_an_accept_without_a_shown_implies_shown(engine: Client, facts: Facts) -> None:
    """It is shown, read, and counted as an orphan accept."""
    row = funnel_of(engine, [facts.generation("a"), facts.action("a", "accept")])
    assert (row.shown, row.shown_read, row.accepted, row.orphan_accept) == (1, 1, 1, 1)


def test_a_suggestion_counts_for_the_tools_of_its_latest_revision(engine: Client, facts: Facts) -> None:
    """Also where the latest offers none: what an older one offered is none of its."""
    log = [
        facts.generation("a", tools_offered=["search", "edit"]),
        facts.generation("b", tools_offered=["search"]),
        facts.generation("b", revision=1),
        facts.generation("c"),
        facts.generation("c", revision=1, tools_offered=["edit", "search"]),
    ]
    load_facts(engine, log)
    rows = queries.funnel(engine, replace(SCOPE, by=["toolset"]))
    assert {row.dimensions["toolset"]: row.opportunities for row in rows} == {"": 1, "edit, search": 2}
    assert queries.dimension_values(engine, SCOPE, "toolset") == ["edit, search"]


def test_a_partial_accept_is_accepted_but_not_in_full(engine: Client, facts: Facts) -> None:
    """Cumulative lengths are not added up: the longest counts, and a later reject changes nothing."""
    log = [
        facts.generation("a"),
        facts.action("a", "shown"),
        facts.action("a", "accept_partial", 1100, length=5),
        facts.action("a", "accept_partial", 1200, length=9),
        facts.action("a", "reject", 1300),
    ]
    row = funnel_of(engine, log)
    assert (row.accepted, row.accepted_full, row.accepted_char, row.rejected) == (1, 0, 9, 0)
    assert rate_of(engine, log, "partial_accept_share").value == 1


def test_an_accept_after_a_reject_wins(engine: Client, facts: Facts) -> None:
    """Rejected means never accepted."""
    log = [
        facts.generation("a"),
        facts.action("a", "shown"),
        facts.action("a", "reject"),
        facts.action("a", "accept", 2000),
    ]
    row = funnel_of(engine, log)
    assert (row.accepted, row.rejected) == (1, 0)


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        (["reject"], "rejected"),
        (["dismiss"], "rejected"),
        (["ignore"], "ignored"),
        (["supersede"], "superseded"),
        (["reject", "ignore"], "ignored"),
        (["ignore", "supersede", "reject"], "rejected"),
        ([], "unanswered"),
    ],
)
def test_what_is_never_accepted_counts_under_its_last_reason(
    engine: Client, facts: Facts, actions: list[str], reason: str
) -> None:
    """Accepted, rejected, ignored, superseded and unanswered part what was shown."""
    log = [facts.generation("a"), facts.action("a", "shown")]
    log += [facts.action("a", action, 2000 + order) for order, action in enumerate(actions)]
    row = funnel_of(engine, log)
    counts = {name: getattr(row, name) for name in ("rejected", "ignored", "superseded", "unanswered")}
    assert counts == {name: int(name == reason) for name in counts}


def test_an_end_without_a_shown_is_counted_apart(engine: Client, facts: Facts) -> None:
    """A reject does not imply shown, but it is not lost either."""
    row = funnel_of(engine, [facts.generation("a"), facts.action("a", "reject")])
    assert (row.shown, row.rejected, row.ended_unshown) == (0, 0, 1)


def test_shown_again_counts_once(engine: Client, facts: Facts) -> None:
    """The longest dwell decides whether it was read; each hour of showing is active."""
    log = [
        facts.generation("a"),
        facts.action("a", "shown", dwell_ms=100),
        facts.action("a", "shown", 3_700_000, dwell_ms=750),
    ]
    row = funnel_of(engine, log)
    assert (row.shown, row.shown_read, row.active_hours, row.user_days) == (1, 1, 2, 1)


def test_a_dwell_of_less_than_750_ms_is_not_read(engine: Client, facts: Facts) -> None:
    """749 ms fails."""
    row = funnel_of(engine, [facts.generation("a"), facts.action("a", "shown", dwell_ms=749)])
    assert (row.shown, row.shown_read) == (1, 0)


def test_automatic_application_is_in_no_acceptance_rate(engine: Client, facts: Facts) -> None:
    """It is left out of shown and accepted, and its retention is measured."""
    log = [
        facts.generation("a"),
        facts.action("a", "shown"),
        facts.action("a", "accept", length=4, accept_mode="auto"),
        facts.check("a", 30, "abcd"),
    ]
    row = funnel_of(engine, log)
    assert (row.opportunities, row.shown, row.accepted, row.auto_applied, row.used) == (1, 0, 0, 1, 1)
    assert rate_of(engine, log, "acceptance_rate").value is None
    assert retention_of(engine, log).unchanged == 1


def test_a_choice_is_a_suggestion_and_the_generation_one_opportunity(engine: Client, facts: Facts) -> None:
    """Two choices shown of one generation: a shown rate of 2, which is no share and has no interval."""
    log = [
        facts.generation("a", choice_count=2),
        facts.action("a", "shown"),
        facts.action("a", "shown", choice_index=1),
    ]
    rate = rate_of(engine, log, "shown_rate")
    assert (rate.numerator, rate.denominator, rate.value, rate.interval_low) == (2, 1, 2, None)


def test_orphans_are_counted_and_in_no_rate(engine: Client, facts: Facts) -> None:
    """Feedback without its generation waits outside of every rate; once the generation comes, it counts."""
    log = [
        facts.action("a", "shown"),
        facts.action("a", "accept", length=4),
        facts.vote("a", 1),
        facts.check("a", 30, "abcd"),
    ]
    row = funnel_of(engine, log)
    assert (row.orphans, row.opportunities, row.shown, row.accepted, row.active_hours) == (1, 0, 0, 0, 0)
    assert queries.retention(engine, SCOPE) == []
    row = funnel_of(engine, [*log, facts.generation("a", at=2_000_000)])
    assert (row.orphans, row.opportunities, row.shown, row.accepted) == (0, 1, 1, 1)


def test_an_undo_counts_as_the_latest_state(engine: Client, facts: Facts) -> None:
    """Accepted and undone; accepted again, it is no longer undone."""
    undone = [*accepted(facts, "a"), facts.action("a", "undo", 1500)]
    assert funnel_of(engine, undone).undone == 1
    row = funnel_of(engine, [*undone, facts.action("a", "accept", 1600)])
    assert (row.accepted, row.undone) == (1, 0)


def test_an_empty_denominator_gives_none(engine: Client, facts: Facts) -> None:
    """Nothing shown: no acceptance rate, rather than one of 0."""
    rate = rate_of(engine, [facts.generation("a")], "acceptance_rate")
    assert (rate.denominator, rate.value, rate.coverage, rate.interval_low, rate.interval_high) == (
        0,
        None,
        None,
        None,
        None,
    )


def test_the_interval_is_wilsons(engine: Client, facts: Facts) -> None:
    """Known values for 1 of 2 at 95 %."""
    rate = rate_of(
        engine, [*accepted(facts, "a"), facts.generation("b"), facts.action("b", "shown")], "acceptance_rate"
    )
    assert (rate.interval_low, rate.interval_high) == pytest.approx((0.0945312, 0.9054688), abs=1e-7)


def test_acceptance_is_covered_once_users_have_had_their_time(engine: Client, facts: Facts) -> None:
    """Of two suggestions, the one shown less than `settle_s` ago is not settled."""
    log = [*accepted(facts, "a"), facts.generation("b", at=60_000), facts.action("b", "shown", 61_000)]
    scope = replace(SCOPE, as_of=START_AT + timedelta(milliseconds=1000 + SETTLE_S * 1000))
    assert rate_of(engine, log, "acceptance_rate", scope).coverage == 0.5


def test_users_weigh_alike_in_user_means(engine: Client, facts: Facts) -> None:
    """One user accepts 1 of 1, another 0 of 3: pooled 1/4, mean 1/2."""
    log = accepted(facts, "a")
    for name in "bcd":
        log += [facts.generation(name, user="u2"), facts.action(name, "shown")]
    load_facts(engine, log)
    got = {row.metric: (row.value, row.users) for row in queries.user_rates(engine, SCOPE)}
    assert got["acceptance_rate_user_mean"] == (0.5, 2)
    assert got["acceptance_rate_user_p50"] == (0.5, 2)
    assert rate_of(engine, log, "acceptance_rate").value == 0.25


def test_a_generation_costs_once_however_many_choices_it_has(engine: Client, facts: Facts) -> None:
    """Cost per accepted divides the cost of the generations, and is None where no cost is known."""
    log = [facts.generation("a", choice_count=3, cost_usd=0.5), facts.action("a", "accept")]
    assert rate_of(engine, log, "cost_per_accepted").value == 0.5
    assert rate_of(engine, accepted(facts, "b"), "cost_per_accepted").value is None


def test_touchless_means_used_and_left_alone(engine: Client, facts: Facts) -> None:
    """An edit, an undo or a later change ends it; a copy counts as a use."""
    log = [
        *accepted(facts, "kept"),
        *accepted(facts, "changed"),
        facts.check("changed", 30, "abcX"),
        *accepted(facts, "edited"),
        facts.edit("edited", corrected_text="x"),
        *accepted(facts, "undone"),
        facts.action("undone", "undo", 1500),
        facts.generation("copied"),
        facts.action("copied", "copy"),
    ]
    rate = rate_of(engine, log, "touchless_rate")
    assert (rate.numerator, rate.denominator, rate.coverage) == (2, 5, 0.2)


# Retention.


def test_one_third_changed_is_not_mostly_kept(engine: Client, facts: Facts) -> None:
    """The bound is strict: 1/3 fails, 0.32 passes."""
    assert retention_of(engine, [*accepted(facts, "a"), facts.check("a", 30, "abX", "abc")]).mostly == 0
    original = "x" * 100
    assert (
        retention_of(engine, [*accepted(facts, "a"), facts.check("a", 30, "y" * 33 + "x" * 67, original)]).mostly == 0
    )
    assert (
        retention_of(engine, [*accepted(facts, "a"), facts.check("a", 30, "y" * 32 + "x" * 68, original)]).mostly == 1
    )


def test_a_zero_length_accept_has_nothing_to_retain(engine: Client, facts: Facts) -> None:
    """It is accepted, and left out of retention."""
    log = [
        *accepted(facts, "a", length=0),
        facts.check("a", 30, ""),
        *accepted(facts, "b"),
        facts.check("b", 30, "abcd"),
    ]
    assert funnel_of(engine, log).accepted == 2
    row = retention_of(engine, log)
    assert (row.accepted, row.observed, row.removed, row.zero_length) == (1, 1, 0, 1)


def test_a_missing_check_is_unobserved_at_every_horizon_of_its_app(engine: Client, facts: Facts) -> None:
    """Horizons come from the app's checks; another app's horizons are not asked of it."""
    other = Facts("other")
    log = [*accepted(facts, "a"), *accepted(facts, "b"), facts.check("b", 30, "abcd"), facts.check("b", 120, None)]
    log += [*accepted(other, "c"), other.check("c", 900, "abcd")]
    load_facts(engine, log)
    rows = {
        (row.dimensions["app"], row.horizon_s): row for row in queries.retention(engine, replace(SCOPE, by=["app"]))
    }
    assert sorted(rows) == [("app", 30), ("app", 120), ("other", 900)]
    assert (rows["app", 30].accepted, rows["app", 30].observed, rows["app", 30].missing) == (2, 1, 1)
    assert (rows["app", 120].unobserved, rows["app", 120].missing) == (1, 1)


def test_made_up_horizons_are_no_lines_of_an_answer(engine: Client, facts: Facts) -> None:
    """Of too many the most checked are told; neither these nor another app's numbers change by the others."""
    other = Facts("other")
    log = [*accepted(other, "c"), other.check("c", 900, "abcd")]
    for name in "ab":
        log += [*accepted(facts, name), facts.check(name, 30, "abcd"), facts.check(name, 600, "abXd")]
    scope = replace(SCOPE, by=["app"])
    load_facts(engine, log)
    before = queries.retention(engine, scope)
    load_facts(engine, log + [facts.check("a", 1000 + number, "abcd") for number in range(200)])
    rows = queries.retention(engine, scope)
    assert len([row for row in rows if row.dimensions["app"] == "app"]) == MOST_HORIZONS
    assert [row for row in rows if row.horizon_s < 1000] == before
    assert {row.horizon_s for row in queries.retention(engine, replace(scope, horizons=[30, 1199]))} == {30, 1199}


def test_a_late_check_is_left_out_and_counted(engine: Client, facts: Facts) -> None:
    """15 s or a tenth of the horizon is still in time; a millisecond more is late, and then nothing was observed."""
    on_time = [*accepted(facts, "a"), facts.check("a", 30, "abcd", elapsed_ms=45_000)]
    assert retention_of(engine, on_time).observed == 1
    row = retention_of(engine, [*accepted(facts, "a"), facts.check("a", 30, "abcd", elapsed_ms=45_001)])
    assert (row.accepted, row.observed, row.late) == (1, 0, 1)
    long = [*accepted(facts, "a"), facts.check("a", 3600, "abcd", elapsed_ms=3_960_000)]
    assert retention_of(engine, long, 3600).observed == 1


def test_a_check_on_another_branch_is_left_out(engine: Client, facts: Facts) -> None:
    """It counts neither for nor against."""
    log = [*accepted(facts, "a"), facts.check("a", 30, "XXXX", branch_changed=True)]
    row = retention_of(engine, log)
    assert (row.accepted, row.observed, row.branch_changed) == (0, 0, 1)


def test_the_last_accept_has_the_checks(engine: Client, facts: Facts) -> None:
    """A check of an earlier accept says nothing of the last one."""
    log = [
        *accepted(facts, "a", accept_seq=1),
        facts.check("a", 30, "abcd", accept_seq=1),
        facts.action("a", "accept", 60_000, length=4, accept_seq=2),
    ]
    row = retention_of(engine, log)
    assert (row.accepted, row.observed, row.missing) == (1, 0, 1)
    row = retention_of(engine, [*log, facts.check("a", 30, "abcX", accept_seq=2)])
    assert (row.observed, row.unchanged, row.mostly) == (1, 0, 1)


def test_an_accept_counts_once_it_is_older_than_horizon_and_grace(engine: Client, facts: Facts) -> None:
    """Before that it matures, even where its check is there already: else the young would look well kept."""
    log = [*accepted(facts, "a"), facts.check("a", 30, "abcd")]
    mature_at = START_AT + timedelta(seconds=1 + 30 + GRACE_S)
    row = retention_of(engine, log, scope=replace(SCOPE, as_of=mature_at - timedelta(milliseconds=1)))
    assert (row.accepted, row.observed, row.maturing) == (0, 0, 1)
    row = retention_of(engine, log, scope=replace(SCOPE, as_of=mature_at))
    assert (row.accepted, row.observed, row.maturing) == (1, 1, 0)


def test_an_undo_and_a_redo_restore_what_was_kept(engine: Client, facts: Facts) -> None:
    """Removed at 30 s and back at 120 s: retention may rise with the horizon."""
    log = [*accepted(facts, "a"), facts.check("a", 30, ""), facts.check("a", 120, "abcd")]
    assert (retention_of(engine, log, 30).removed, retention_of(engine, log, 120).unchanged) == (1, 1)


def test_similarities_are_weighed_by_length_and_need_a_client_that_sends_them(engine: Client, facts: Facts) -> None:
    """A removal has no four-gram in common; where no client sends similarities, there is no number."""
    log = [*accepted(facts, "a"), facts.check("a", 30, ""), *accepted(facts, "b"), facts.check("b", 30, "abcX")]
    load_facts(engine, log)
    rows = {row.metric: row.value for row in queries.retention_rates(engine, SCOPE)}
    assert (rows["survival_four_gram"], rows["arc_ratio"], rows["still_in_code"]) == (None, None, None)
    assert rows["modification_pct"] == (1 + 0.25) / 2
    sent = facts.check(
        "c", 30, "y" * 10 + "x" * 2, "x" * 12, four_gram=0.5, no_revert=0.25, retained_length=2, total_length=8,
        original_lexemes=4, lexeme_distance=2,
    )  # fmt: skip
    load_facts(engine, [*log[:4], *accepted(facts, "c", 12), sent])
    rows = {row.metric: row.value for row in queries.retention_rates(engine, SCOPE)}
    assert rows["survival_four_gram"] == (0.5 * 12 + 0 * 4) / 16
    assert (rows["arc"], rows["arc_ratio"], rows["ai_share"]) == (2, 2 / 16, 2 / 8)
    assert (rows["no_revert"], rows["still_in_code"]) == (0.25, 1)


def test_commit_retention_takes_the_first_moment_that_comes(engine: Client, facts: Facts) -> None:
    """Commit, branch change, close or ten hours, whichever is first."""
    moment = {"horizon_s": None, "total_length": 40}
    log = [
        *accepted(facts, "a"),
        facts.check("a", 60, "abXX", moment="commit", retained_length=2, **moment),
        facts.check("a", 90, "", moment="close", **moment),
        *accepted(facts, "b"),
        facts.check("b", 36_000, "abcd", total_length=10),
    ]
    assert rate_of(engine, log, "commit_retention").value == (2 + 4) / 8
    assert rate_of(engine, log, "ai_share").value == (2 + 4) / 50


# Feedback.


def test_a_revote_counts_once_as_its_latest_state(engine: Client, facts: Facts) -> None:
    """Whatever the order of arrival; a withdrawn vote is none."""
    shown = [facts.generation("a"), facts.action("a", "shown")]
    log = [*shown, facts.vote("a", -1, 4000), facts.vote("a", 1, 3000), facts.vote("a", 1, user="u2")]
    share = feedback_of(engine, log, "positive_vote_share")
    assert (share.numerator, share.denominator) == (1, 2)
    assert feedback_of(engine, log, "vote_rate").value == 1
    assert feedback_of(engine, [*shown, facts.vote("a", 1), facts.vote("a", 0, 4000)], "vote_rate").value == 0


def test_an_unset_flag_is_none_until_another_user_sets_it(engine: Client, facts: Facts) -> None:
    """A label is active while one user holds it set."""
    log = [
        facts.generation("a"),
        facts.action("a", "shown"),
        facts.flag("a", "wrong"),
        facts.flag("a", "wrong", "unset", 4000),
    ]
    assert feedback_of(engine, log, "flag_rate").value == 0
    log += [facts.flag("a", "wrong", user="u2"), facts.flag("a", "slow", user="u2", valence="neutral")]
    assert feedback_of(engine, log, "flag_rate").numerator == 1
    assert feedback_of(engine, log, "flag_rate", "wrong").value == 1
    assert feedback_of(engine, log, "flag_rate", "slow").value == 1


def test_negative_feedback_is_a_negative_flag_or_vote(engine: Client, facts: Facts) -> None:
    """Neutral labels and positive votes are not."""
    log: list[Event] = []
    for name in "abcd":
        log += [facts.generation(name), facts.action(name, "shown")]
    log += [
        facts.flag("a", "wrong"),
        facts.vote("b", -1),
        facts.flag("c", "slow", valence="neutral"),
        facts.vote("d", 1),
    ]
    assert feedback_of(engine, log, "negative_feedback_rate").value == 0.5


def test_corrections_count_generations_and_their_distance(engine: Client, facts: Facts) -> None:
    """Two users correct one generation; one distance is known."""
    log = [
        *accepted(facts, "a"),
        facts.edit("a", distance=2, original_length=4, corrected_length=8 - 4),
        facts.edit("a", corrected_text="abc", user="u2"),
    ]
    assert feedback_of(engine, log, "correction_rate").value == 1
    distance = feedback_of(engine, log, "correction_distance")
    assert (distance.value, distance.coverage) == (0.5, 0.5)


def test_actions_have_a_rate_each(engine: Client, facts: Facts) -> None:
    """An app's own actions too; twice by one generation counts once."""
    log = [
        facts.generation("a"),
        facts.action("a", "shown"),
        facts.action("a", "x_pin"),
        facts.action("a", "x_pin", 2000),
    ]
    assert feedback_of(engine, log, "action_rate", "x_pin").value == 1


def test_a_judge_is_measured_against_people(engine: Client, facts: Facts) -> None:
    """Cohen's textbook example: 20 both yes, 5 and 10 apart, 15 both no: agreement 0.7, kappa 0.4."""
    log: list[Event] = []
    table = [("yes", "yes", 20), ("yes", "no", 5), ("no", "yes", 10), ("no", "no", 15)]
    for judged, human, times in table:
        for number in range(times):
            name = f"{judged}{human}{number}"
            log += [
                facts.generation(name),
                facts.evaluation(name, "llm", judged),
                facts.evaluation(name, "human", human),
            ]
    log += [facts.generation("alone"), facts.evaluation("alone", "llm", "yes")]
    agreement = judge_of(engine, log, "judge_agreement")
    assert (agreement.value, agreement.denominator, agreement.evaluation, agreement.annotator) == (
        0.7,
        50,
        "correct",
        "llm",
    )
    assert agreement.coverage == 50 / 51
    assert judge_of(engine, log, "judge_kappa").value == pytest.approx(0.4)
    assert judge_of(engine, log, "judge_precision", "yes").value == 20 / 25
    assert judge_of(engine, log, "judge_recall", "yes").value == 20 / 30


def test_the_latest_human_label_is_the_truth(engine: Client, facts: Facts) -> None:
    """A person who changes their mind changes the judge's record."""
    log = [
        facts.generation("a"),
        facts.evaluation("a", "llm", "yes"),
        facts.evaluation("a", "human", "no", 4000, annotator="p1"),
        facts.evaluation("a", "human", "yes", 5000, annotator="p2"),
    ]
    assert judge_of(engine, log, "judge_agreement").value == 1


# Scopes.


def test_segments_part_the_whole(engine: Client, facts: Facts) -> None:
    """A cut by model and language adds up, and a filter keeps its values only."""
    log = [
        facts.generation("a", model="m1", language="de"),
        facts.generation("b", model="m2"),
        facts.generation("c", model="m2"),
    ]
    load_facts(engine, log)
    rows = queries.funnel(engine, replace(SCOPE, by=["model", "language"]))
    assert [(row.dimensions, row.opportunities) for row in rows] == [
        ({"model": "m1", "language": "de"}, 1),
        ({"model": "m2", "language": ""}, 2),
    ]
    (row,) = queries.funnel(engine, replace(SCOPE, only={"model": ["m1", "m9"]}))
    assert row.opportunities == 1
    assert queries.dimension_values(engine, SCOPE, "model") == ["m2", "m1"]


def test_a_cohort_is_of_the_time_of_the_generation(engine: Client, facts: Facts) -> None:
    """The start belongs to it, the end does not; when the feedback came does not matter."""
    log = [facts.generation("a"), facts.action("a", "accept", 5_000_000), facts.generation("b", at=1000)]
    row = funnel_of(engine, log, replace(SCOPE, until=START_AT + timedelta(seconds=1)))
    assert (row.opportunities, row.accepted) == (1, 1)
    assert queries.event_span(engine) == (START_AT, START_AT + timedelta(seconds=1))


def test_a_scope_refuses_what_does_not_exist() -> None:
    """The error names the field and what would do."""
    with pytest.raises(ScopeError, match="modle: no such dimension; choose from app, environment"):
        replace(SCOPE, by=["modle"])
    with pytest.raises(ScopeError, match="since"):
        replace(SCOPE, until=SCOPE.since)


def test_an_empty_store_has_no_span(engine: Client) -> None:
    """Nothing there: None, not an error and not the epoch."""
    engine.command("TRUNCATE TABLE suggestions")
    assert queries.event_span(engine) is None
