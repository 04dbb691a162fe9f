"""What came of suggestions that became tests: each suite's runs, what went red, what mended it, and what users keep."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from keeprate.deploy.cases.story import Chapter, SuiteStory, most_common, stories
from keeprate.deploy.page import answers
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.comparison import change
from keeprate.deploy.page.definitions import METRICS
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.facts import case_results

MOST_STORIES: Final = 20
MOST_RUNS: Final = 30
MOST_CASES: Final = 50
KEPT_S: Final = 10.0

Known = Mapping[tuple[str, str, int], Mapping[str, Any]]


def cases(reads: Reads, selection: Selection) -> Json:
    """The stories of the suites that ran in the period, the one that ran last first."""
    since, apps = reads.now - selection.span.length, selection.only.get("app", [])
    key = (selection.period, tuple(apps))
    told = reads.fact("case results", key, lambda: case_results.results(reads.client, since, reads.now, apps), KEPT_S)
    found = stories(told)[:MOST_STORIES]
    shown = [each for story in found for each in (*story.cases[:MOST_CASES], *_last(story))]
    keys = list(dict.fromkeys((each.app, each.generation_id, each.choice_index) for each in shown))
    known = case_results.suggestions_of(reads.client, keys)
    return {"stories": [_story(reads, selection, story, known) for story in found]}


def _story(reads: Reads, selection: Selection, story: SuiteStory, known: Known) -> Json:
    last = story.chapters[-1]
    return {
        "app": story.app,
        "suite": story.suite,
        "count": len(last.results),
        "state": "red" if last.is_red else "error" if last.count("error") else "green",
        "red": None if story.red is None else _run(story.red),
        "fixed": None if story.fixed is None else _run(story.fixed),
        "cases": [_case(each, known, reads.sight.may_read(each.app)) for each in story.cases[:MOST_CASES]],
        "cases_count": len(story.cases),
        "results": [
            _case(each, known, reads.sight.may_read(each.app)) | {"label": each.label} for each in _last(story)
        ],
        "runs": [_run(each) for each in story.chapters[-MOST_RUNS:]],
        "retention": _retention(reads, selection, story, known),
    }


def _last(story: SuiteStory) -> list[case_results.Told]:
    """What the cases of the last run came to, those that failed first."""
    results = sorted(story.chapters[-1].results.values(), key=lambda each: (each.label == "passed", each.label))
    return results[:MOST_CASES]


def _run(chapter: Chapter) -> Json:
    counts = {label: chapter.count(label) for label in ("passed", "failed", "error")}
    since = {"regressions": list(chapter.since.regressions), "repairs": list(chapter.since.repairs)}
    return {"run": chapter.run, "version": chapter.version, "at": chapter.at_ms} | counts | since


def _case(told: case_results.Told, known: Known, with_text: bool) -> Json:
    row = known.get((told.app, told.generation_id, told.choice_index), {})
    own = {"case": told.case, "generation_id": told.generation_id, "choice_index": told.choice_index}
    own["why"] = told.why if with_text else ""
    said = {name: row.get(name, "") for name in ("prompt_version", "model")}
    return (
        own
        | said
        | {
            "at": row.get("cohort_ms"),
            "flag_labels": row.get("flag_labels", []),
            "votes_negative": row.get("votes_negative", 0),
            "corrections": row.get("corrections", 0),
        }
    )


def _retention(reads: Reads, selection: Selection, story: SuiteStory, known: Known) -> Json | None:
    """What users keep of the version whose suggestions became cases, and of the one that mended them."""
    if story.red is None:
        return None
    rows = (known.get((each.app, each.generation_id, each.choice_index), {}) for each in story.cases)
    before = most_common(str(row.get("prompt_version", "")) for row in rows) or story.red.version
    after = story.fixed.version if story.fixed else ""
    asked = replace(selection, filters=(("app", (story.app,)),), by=("prompt_version",))
    rates = {row.dimensions["prompt_version"]: row for row in reads.rates_of(METRICS["retention"], asked, "grouped")}
    old, new = rates.get(before), rates.get(after) if after and after != before else None
    moved = change(new, old)
    return {
        "horizon_s": selection.horizon_s,
        "before": {"version": before} | answers.rate_json(old),
        "after": {"version": after} | answers.rate_json(new),
        "change": None
        if moved is None
        else {"value": moved.value, "low": moved.low, "high": moved.high, "clear": moved.clear},
    }
