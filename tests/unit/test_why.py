"""What explains a difference: which counts are on which side, what comes first, and how it is said."""

from datetime import UTC, datetime, timedelta

from keeprate.deploy.why import links, words
from keeprate.deploy.why.drifted import Drifted, SeriesAlarm, together
from keeprate.deploy.why.explaining import Explained, Sides, explained
from keeprate.sinks.closed.drift_states import Series
from keeprate.sinks.reading.cuts import CUTS, CutCount
from keeprate.sinks.reading.scope import Scope

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
SCOPE = Scope(AT - timedelta(days=7), AT + timedelta(days=7), AT + timedelta(days=7))
PERIODS = Sides(SCOPE, AT)
RELEASE = Sides(SCOPE, AT, ("prompt_version", "v3", "v4"), together=True)
MINUS = "\N{MINUS SIGN}"


def count(version: str, language: str, trials: int, successes: int, *, is_new: bool = True) -> CutCount:
    """Of one app."""
    labels = dict.fromkeys(CUTS, "") | {"app": "editor", "prompt_version": version, "language": language}
    return CutCount(is_new, labels, trials, successes)


def of(sides: Sides, *counts: CutCount) -> Explained:
    found = explained(counts, sides)
    assert found is not None
    return found


TYPESCRIPT_FELL = (
    count("v3", "typescript", 500, 450),
    count("v3", "go", 500, 450),
    count("v4", "typescript", 500, 200),
    count("v4", "go", 500, 440),
)


def test_the_value_that_fell_alone_comes_first_and_is_named() -> None:
    """With what would be left of the fall without it."""
    found = of(RELEASE, *TYPESCRIPT_FELL)
    first = found.reasons[0]
    assert (first.cut, first.value) == ("language", "typescript")
    assert 0.9 < first.share < 1.0
    assert words.where(found) == "for certain in typescript, of the 2 languages with enough to tell; most in typescript"
    assert words.leading(found) == "92 % of it in language typescript"
    said = f"typescript moved by {MINUS}50 pp; had it moved as the rest, {MINUS}2 of the {MINUS}26 pp were left"
    assert words.reason(first, found) == said


def test_a_fall_that_is_the_same_everywhere_has_no_reason() -> None:
    """And is said to be everywhere."""
    kept = {"v3": 350, "v4": 200}
    found = of(RELEASE, *(count(version, name, 400, kept[version]) for version in kept for name in ("go", "sql")))
    assert found.reasons == ()
    assert words.leading(found) == ""
    assert words.where(found) == "in every language"


def test_versions_are_no_reason_for_their_own_difference() -> None:
    """But they are one where two periods differ: more of v4 came."""
    cut = set(of(RELEASE, *TYPESCRIPT_FELL).cuts)
    assert cut == {"language"}
    found = of(
        PERIODS,
        count("v3", "go", 1000, 850, is_new=False),
        count("v3", "go", 400, 340),
        count("v4", "go", 600, 330),
    )
    assert (found.reasons[0].cut, found.reasons[0].value) == ("prompt_version", "")
    assert words.grown(found.reasons[0], found) == "v4"
    assert words.leading(found) == "100 % of it by other shares of prompt versions (v4)"
    said = f"Other shares of prompt versions (v4: 0 % to 60 %) are {MINUS}18 of the {MINUS}18 pp"
    assert words.reason(found.reasons[0], found) == said


def test_a_version_that_took_over_is_compared_with_what_was_before() -> None:
    """One that shares the traffic with what was at the same time; what its predecessor did else is on no side."""
    counts = [count("v3", "go", 100, 90, is_new=False), count("v3", "go", 50, 40), count("v4", "go", 80, 60)]
    after = Sides(SCOPE, AT, ("prompt_version", "v3", "v4"))
    assert (of(after, *counts).old, of(after, *counts).new) == ((100, 90), (80, 60))
    assert (of(RELEASE, *counts).old, of(RELEASE, *counts).new) == ((50, 40), (80, 60))


def test_small_values_are_one_and_nothing_is_left_out() -> None:
    """Of more than twenty, the trials of all are still there."""
    many = [count("v3", f"l{at}", 10 + at, 5, is_new=is_new) for at in range(40) for is_new in (False, True)]
    found = of(PERIODS, *many)
    values = [each.portion for each in found.cuts["language"].contributions]
    assert len(values) == 21
    assert values[-1].value == "…"
    assert sum(each.new_trials for each in values) == found.new[0]


def test_one_side_alone_explains_nothing() -> None:
    """There is no difference yet."""
    assert explained([count("v4", "go", 10, 5)], RELEASE) is None


def alarm(prompt: str, metric: str, evidence: float, since: datetime = AT) -> SeriesAlarm:
    return SeriesAlarm(("editor", prompt, "v3", "m", metric), "inline", evidence, since, AT + timedelta(hours=3))


def test_a_cause_is_explained_by_its_strongest_metric_in_all_its_prompts() -> None:
    """Each kind of alert by one of its own: what is slow explains no fall."""
    later = AT + timedelta(hours=1)
    found = together(
        [alarm("inline", "acceptance", 2.0), alarm("chat", "retention_600", 9.0, later), alarm("chat", "flag", 99.0)]
    )
    until = AT + timedelta(hours=3)
    prompts = frozenset({"inline", "chat"})
    assert found == {
        ("editor", "inline", "quality"): Drifted("editor", prompts, "retention_600", later, until),
        ("editor", "inline", "harm"): Drifted("editor", frozenset({"chat"}), "flag", AT, until),
    }


def test_a_series_leads_to_what_explains_it() -> None:
    """The last day against the one before; where the page explains no such metric, to the models side by side."""
    kept: Series = ("editor", "in line", "v3", "unknown", "retention_600")
    only = "app=editor&only=prompt_name%3Din+line&only=prompt_version%3Dv3"
    assert links.of_series(kept) == f"why?{only}&metric=retention&horizon=600&release=periods&period=24h"
    assert links.of_series((*kept[:4], "latency_over_p95")) == f"?{only}&by=model"
