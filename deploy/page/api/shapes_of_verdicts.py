"""The types of answers that say what got better or worse: releases, where and why, alarms; and what they changed."""

from typing import Literal

from typing_extensions import TypedDict

from keeprate.deploy.page.api.shapes import ChoiceJson, EstimateJson, closed


@closed
class FindingJson(TypedDict):
    verdict: Literal["worse", "better"]
    text: str
    short: str
    chance: float
    metric: str
    horizon_s: int


@closed
class ReleaseJson(TypedDict):
    key: str
    app: str
    component: str
    family: str
    version: str
    predecessor: str
    released_at: int
    verdict: Literal["worse", "better", "same", "not_yet"]
    how: str
    in_both: bool
    findings: list[FindingJson]


@closed
class ReleasesJson(TypedDict):
    rows: list[ReleaseJson]
    is_judged: bool


@closed
class SideJson(TypedDict):
    name: str
    value: float | None
    low: float | None
    high: float | None
    numerator: int
    denominator: int


@closed
class SideShareJson(SideJson):
    share: float


@closed
class ReasonJson(TypedDict):
    cut: str
    value: str
    narrow: str
    share: float
    part: EstimateJson
    text: str


@closed
class CutValueJson(TypedDict):
    value: str
    old: SideShareJson
    new: SideShareJson
    mix: EstimateJson | None
    moved: EstimateJson | None
    excess: EstimateJson | None


@closed
class CutJson(TypedDict):
    name: str
    mix: EstimateJson
    values: list[CutValueJson]


@closed
class WhyJson(TypedDict):
    release: str
    releases: list[ChoiceJson]
    metric: str
    horizon_s: int
    title: str
    old: SideJson
    new: SideJson
    since: int
    values: dict[str, str]
    judged: str
    in_both: list[ReleaseJson]
    missing: str
    difference: EstimateJson | None
    reasons: list[ReasonJson]
    nowhere: str
    cuts: list[CutJson]


@closed
class WhereJson(TypedDict):
    rows: dict[str, str]


@closed
class AlertJson(TypedDict):
    """page, runbook: where they lead, from the page that shows them; '' for nowhere. kept_back: from being told of."""

    name: str
    severity: str
    app: str
    summary: str
    description: str
    since: int
    kept_back: Literal["", "silenced", "inhibited"]
    page: str
    runbook: str


@closed
class AlertsJson(TypedDict):
    source: Literal["none", "silent", "unwatched", "watched"]
    said: str
    rows: list[AlertJson]


@closed
class AlarmJson(TypedDict):
    app: str
    prompt: str
    prompt_version: str
    model: str
    metric: str
    side: Literal["fell", "rose"]
    is_harm: bool
    since: int
    evidence: float


@closed
class AlarmsJson(TypedDict):
    rows: list[AlarmJson]


@closed
class PromptTextJson(TypedDict):
    """What most of the newest calls of a version say as the system: `same` of `calls`; null where none does."""

    version: str
    text: str | None
    same: int
    calls: int


@closed
class PromptsJson(TypedDict):
    """Both prompts of a release, and their pieces as [same, gone or new, text]; null where one has no text."""

    release: str
    withheld: bool
    old: PromptTextJson | None
    new: PromptTextJson | None
    pieces: list[tuple[Literal["same", "gone", "new"], str]] | None
