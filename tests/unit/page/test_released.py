"""The page's block of releases: which verdicts it says, in which words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from keeprate.deploy.page.parts.released import rows
from keeprate.deploy.page.parts.versions import all_judged
from keeprate.deploy.releases import words
from keeprate.sinks.closed.release_verdicts import KeptVerdict

AT = datetime(2026, 11, 15, 12, 53, tzinfo=UTC)
KEPT = KeptVerdict(
    *("editor", "prompt_version", "inline", "v4", "v3", AT, "retention", 600, "concurrent", 500, 275, 400, 340),
    *(-0.3, -0.35, -0.25, 50.0, 0.0, 0.001, "worse", AT, 0.0, AT),
)


def test_what_is_worse_is_said_in_plain_words() -> None:
    """With the interval, and once: at the chosen horizon, though others are worse too."""
    later = replace(KEPT, horizon_s=3600, difference=-0.32, low=-0.37, high=-0.27, fell=9.0)
    open_ = replace(KEPT, metric="flag", horizon_s=0, verdict="not_yet")
    (row,) = rows([KEPT, later, open_], 600)
    minus = "\N{MINUS SIGN}"
    assert [each["text"] for each in row["findings"]] == [
        f"v4 keeps 30 pp less than v3 after 10 min ({minus}35 to {minus}25)"
    ]
    assert row["verdict"] == "worse"
    (elsewhere,) = rows([KEPT, later, open_], 30)
    assert "after 1 h" in elsewhere["findings"][0]["text"]


def test_worse_comes_before_better() -> None:
    """Accepted more and kept less: nobody should read the first alone."""
    taken = replace(KEPT, metric="acceptance", horizon_s=0, difference=0.1, low=0.05, high=0.15, verdict="better")
    (row,) = rows([taken, KEPT], 600)
    assert [each["verdict"] for each in row["findings"]] == ["worse", "better"]
    assert row["findings"][1]["text"] == "v4 is accepted 10 pp more than v3 (+5 to +15)"


def test_what_users_keep_is_said_before_what_speaks_louder_and_matters_less() -> None:
    """Of what is worse: kept, then accepted, then all else by its evidence."""
    edited = replace(KEPT, metric="edit_distance_over_p50", horizon_s=0, difference=0.39, low=0.3, high=0.5, fell=9e9)
    taken = replace(KEPT, metric="acceptance", horizon_s=0, difference=-0.1, low=-0.2, high=-0.05, fell=9e8)
    (row,) = rows([edited, taken, KEPT], 600)
    assert [each["metric"] for each in row["findings"]] == ["retention", "acceptance", "edit_distance_over_p50"]


def test_every_metric_of_a_release_comes_in_the_same_order() -> None:
    """Kept by horizon, then accepted, corrected and negative, then the rest by name, as they are kept in the store."""
    metrics = ["acceptance", "correction", "cost_over_p95", "edit_distance_over_p50", "flag", "negative"]
    kept = [replace(KEPT, metric=metric, horizon_s=0) for metric in metrics]
    kept += [replace(KEPT, horizon_s=horizon_s) for horizon_s in (30, 600)]
    assert [each["title"] for each in all_judged(kept)] == [
        *("kept 30 s", "kept 10 min", "accepted", "corrected", "negative", "dear", "changed more than usual", "flagged")
    ]


def test_what_is_edited_and_what_a_judge_says_have_words() -> None:
    """A judge is named, and has no horizon."""
    judged = replace(KEPT, metric="judge_grounded", horizon_s=0, difference=-0.2, low=-0.3, high=-0.1)
    edited = replace(KEPT, metric="edit_distance_over_p95", horizon_s=0, difference=0.1, low=0.05, high=0.15, fell=9.0)
    (row,) = rows([judged, edited], 600)
    minus = "\N{MINUS SIGN}"
    assert [each["text"] for each in row["findings"]] == [
        f"v4 is judged as usual in grounded 20 pp less than v3 ({minus}30 to {minus}10)",
        "v4 far exceeds the usual change 10 pp more than v3 (+5 to +15)",
    ]
    assert row["findings"][0]["short"] == f"grounded as usual {minus}20 pp ({minus}30 to {minus}10)"


def test_a_release_of_which_nothing_is_certain_says_that() -> None:
    """And is the same only where nothing is open."""
    same, open_ = replace(KEPT, verdict="same"), replace(KEPT, verdict="not_yet")
    assert [row["verdict"] for row in rows([same, open_], 600)] == ["not_yet"]
    assert [row["verdict"] for row in rows([same], 600)] == ["same"]
    assert rows([], 600) == []


def test_what_is_worse_is_on_the_screen_however_many_releases_came_after_it() -> None:
    """The newest of the rest follow; a release that was replaced since is one of the rest."""
    later = [
        replace(KEPT, app="agent", family=family, version="2.1", released_at=AT + timedelta(days=1), verdict="not_yet")
        for family in ("plan", "search", "edit", "summary")
    ]
    assert [(row["version"], row["verdict"]) for row in rows([*later, KEPT], 600)] == [
        ("v4", "worse"),
        *[("2.1", "not_yet")] * 3,
    ]
    mended = replace(KEPT, version="v5", predecessor="v4", released_at=AT + timedelta(days=2), verdict="better")
    assert [row["version"] for row in rows([mended, *later, KEPT], 600)] == ["v5", "2.1", "2.1", "2.1"]


def test_what_is_older_than_the_period_is_told_to_be_in_both() -> None:
    """A period and the one before it both have it: their difference is not what it changed."""

    def in_both(days: int, *kept: KeptVerdict) -> dict[str, bool]:
        return {row["version"]: row["in_both"] for row in rows(kept, 600, AT + timedelta(days=days))}

    assert in_both(5, KEPT) == {"v4": True}
    assert in_both(-1, KEPT) == {"v4": False}
    mended = replace(KEPT, version="v5", predecessor="v4", released_at=AT + timedelta(days=2), verdict="better")
    assert in_both(5, mended, KEPT) == {"v5": True, "v4": False}
    assert in_both(5, replace(KEPT, verdict="not_yet")) == {"v4": False}


def test_an_open_verdict_beside_an_interval_without_zero_says_why() -> None:
    """The interval is of one metric; the error of a verdict is shared."""
    open_ = replace(KEPT, verdict="not_yet", low=-0.05, high=-0.01, fell=0.35)
    assert words.why_open(open_, 12) == "12 metrics share the error: 35 % of the evidence so far"
    assert words.why_open(replace(open_, high=0.01), 12) == ""
    assert words.why_open(replace(open_, verdict="worse"), 12) == ""


def test_a_small_difference_keeps_its_tenths() -> None:
    """A rare event that became twice as frequent is no difference of nothing."""
    minus = "\N{MINUS SIGN}"
    said = [words.points(share) for share in (0.004, -0.0123, 0.019, 0.0196, -0.3, 0.0, 0.00004)]
    assert said == ["+0.4", f"{minus}1.2", "+1.9", "+2", f"{minus}30", "0", "0"]


def test_what_could_be_taken_for_another_metric_says_what_it_is() -> None:
    """Corrected is what somebody sent, edited what the text became."""
    assert words.about(replace(KEPT, metric="correction")) == "somebody sent what it should have been"
    assert words.about(replace(KEPT, metric="edit_distance_over_p50")) == (
        "the text was changed within 10 min by more than half of the old one's were"
    )
    assert words.about(KEPT) == ""
