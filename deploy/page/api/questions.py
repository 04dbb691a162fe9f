"""What can be asked under /api/ of a selection: by name, who answers, and which of them a page asks at once."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from keeprate.deploy.page import answers, happenings
from keeprate.deploy.page.exploring import listed, prompts, suites
from keeprate.deploy.page.parts import cases, health, more, verdicts, versions, why
from keeprate.deploy.page.parts.agreement import agreement
from keeprate.deploy.page.parts.alerts import alerts
from keeprate.deploy.page.parts.arrival import arrival
from keeprate.deploy.page.parts.baseline import baseline
from keeprate.deploy.page.parts.released import releases
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection

Question = Callable[[Reads, Selection], answers.Json | None]
PARTS: Final[Mapping[str, Question]] = {
    "status": happenings.status,
    "summary": answers.summary,
    "releases": releases,
    "series": answers.series,
    "retention": answers.retention,
    "funnel": answers.funnel,
    "compare": answers.compare,
    "feedback": happenings.feedback,
    "intake": happenings.intake,
    "why": why.why,
    "where": verdicts.where,
    "alerts": alerts,
    "alarms": verdicts.alarms,
    "more": more.more,
    "baseline": baseline,
    "suggestions": listed.suggestions,
    "versions": versions.versions,
    "accounts": health.accounts,
    "drift": health.drift,
    "arrival": arrival,
    "cases": cases.cases,
    "agreement": agreement,
}
"""What can be asked of a selection, each by itself."""

SCREENS: Final[Mapping[str, tuple[str, ...]]] = {
    "screen": ("status", "summary", "releases", "series", "retention", "funnel", "compare", "feedback"),
    "operations": ("status", "intake"),
    "explanation": ("status", "why"),
    "overview": ("alerts", "where", "alarms", "more", "baseline"),
    "explore": ("status", "suggestions"),
    "versions_screen": ("status", "versions"),
    "health": ("accounts", "drift"),
    "stories": ("status", "cases"),
    "review_screen": ("status", "agreement"),
}
"""What a page asks for at once: parts as of one time, which share the rows that they need."""


_PARTS_AT_ONCE: Final = ThreadPoolExecutor(12, "part")


def screen(name: str, reads: Reads, selection: Selection) -> answers.Json:
    """All that a page shows of a selection, with what can be chosen. Its parts are read side by side."""
    if "retention" in SCREENS[name]:
        reads.begin(selection)
    asked = {part: _PARTS_AT_ONCE.submit(PARTS[part], reads, selection) for part in SCREENS[name]}
    frame = {"meta": happenings.meta(reads, selection), "selected": happenings.selected(reads, selection)}
    return frame | {part: each.result() for part, each in asked.items()}


OWN: Final[Mapping[str, Sequence[str]]] = {
    "why": why.OWN,
    "explanation": why.OWN,
    "suggestions": listed.OWN,
    "explore": listed.OWN,
    "cases.jsonl": suites.OWN,
    "prompts": prompts.OWN,
    "versions": versions.OWN,
    "versions_screen": versions.OWN,
}
"""The parameters that only some questions have."""

QUESTIONS: Final[dict[str, Question]] = {**{name: partial(screen, name) for name in SCREENS}, **PARTS}
"""What can be asked under /api/, of a selection."""
