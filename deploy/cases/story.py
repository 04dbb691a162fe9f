"""The story of a suite: the run that went red, in which cases, and the version that made it green again. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keeprate.deploy.cases.comparing import Difference, compare
from keeprate.sinks.facts.case_results import Told


@dataclass(frozen=True)
class Chapter:
    """One run: what each case came to, and what changed since the run before."""

    run: str
    version: str
    at_ms: int
    results: dict[str, Told]
    since: Difference

    def count(self, label: str) -> int:
        """How many cases came to a label."""
        return sum(each.label == label for each in self.results.values())

    @property
    def is_red(self) -> bool:
        return self.count("failed") > 0


@dataclass(frozen=True)
class SuiteStory:
    """A suite of an app. chapters: its runs, the oldest first. red: the first run of the last red stretch, None where
    none was red. fixed: the run that ended it, None while it lasts. cases: those that failed in it, as they did first.
    """

    app: str
    suite: str
    chapters: Sequence[Chapter]
    red: Chapter | None
    fixed: Chapter | None
    cases: Sequence[Told]


def stories(told: Iterable[Told]) -> list[SuiteStory]:
    """Of each suite of each app, the one whose last run is the newest first. told: in the order of time."""
    by_suite: dict[tuple[str, str], dict[str, list[Told]]] = {}
    for each in told:
        by_suite.setdefault((each.app, each.suite), {}).setdefault(each.run, []).append(each)
    found = [_story(app, suite, list(runs.values())) for (app, suite), runs in by_suite.items()]
    return sorted(found, key=lambda each: -each.chapters[-1].at_ms)


def _story(app: str, suite: str, runs: Sequence[Sequence[Told]]) -> SuiteStory:
    chapters: list[Chapter] = []
    for run in sorted(runs, key=lambda each: each[-1].at_ms):
        results = {each.case: each for each in run}
        before = {name: each.label for name, each in chapters[-1].results.items()} if chapters else {}
        now = {name: each.label for name, each in results.items()}
        last = run[-1]
        chapters.append(Chapter(last.run, last.version, last.at_ms, results, compare(before, now)))  # type: ignore[arg-type]
    first, end = _last_red(chapters)
    if first is None:
        return SuiteStory(app, suite, chapters, None, None, [])
    failed: dict[str, Told] = {}
    for chapter in chapters[first:end]:
        for each in chapter.results.values():
            if each.label == "failed":
                failed.setdefault(each.case, each)
    fixed = chapters[end] if end < len(chapters) else None
    return SuiteStory(app, suite, chapters, chapters[first], fixed, list(failed.values()))


def _last_red(chapters: Sequence[Chapter]) -> tuple[int | None, int]:
    """Where the last stretch of red runs begins, and where it has ended."""
    reds = [at for at, chapter in enumerate(chapters) if chapter.is_red]
    if not reds:
        return None, 0
    first = last = reds[-1]
    while first > 0 and chapters[first - 1].is_red:
        first -= 1
    return first, last + 1


def most_common(values: Iterable[str]) -> str:
    """The value that most have, of those that are not empty; '' where none is."""
    counted = Counter(value for value in values if value)
    return counted.most_common(1)[0][0] if counted else ""
