"""The types of the API's answers. What an answer has and its type has not, or the other way round, a test finds.

Times are milliseconds since the epoch, UTC.
"""

from typing import Final, Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

_CLOSED: Final = ConfigDict(extra="forbid")
closed = with_config(_CLOSED)

Number = int | float


@closed
class ChoiceJson(TypedDict):
    value: str
    text: str


@closed
class VariantJson(TypedDict):
    value: str
    text: str
    meaning: str


@closed
class TermJson(TypedDict):
    title: str
    short: str
    meaning: str
    formula: str


@closed
class MetaJson(TypedDict):
    apps: list[str]
    environments: list[str]
    horizons_s: list[int]
    default_horizon_s: int
    horizons_by_app: dict[str, list[int]]
    periods: list[ChoiceJson]
    dimensions: list[ChoiceJson]
    metrics: list[str]
    variants: list[VariantJson]
    kinds: list[ChoiceJson]
    charts: str
    definitions: dict[str, TermJson]


@closed
class SelectedJson(TypedDict):
    horizon_s: int
    horizons_s: list[int]
    metric: str


@closed
class RateJson(TypedDict):
    """A share with its 95 % interval; null where the denominator is 0."""

    value: float | None
    low: float | None
    high: float | None
    numerator: Number
    denominator: int


@closed
class ChangeJson(TypedDict):
    """A difference of two shares. clear: its interval leaves out 0."""

    value: float
    low: float
    high: float
    clear: bool


@closed
class EstimateJson(TypedDict):
    value: float
    low: float
    high: float


@closed
class StatusJson(TypedDict):
    now: int
    newest_event_at: int | None
    freshness_s: float | None
    events_per_min: int
    lag_s: float | None
    orphans: int
    dead_letters: int


@closed
class KeyNumber(TypedDict):
    name: str
    of: str
    better: Literal["higher", "lower"]
    rate: RateJson
    coverage: float | None
    previous: RateJson | None
    change: ChangeJson | None


@closed
class SummaryJson(TypedDict):
    period: str
    horizon_s: int
    opportunities: int
    metrics: list[KeyNumber]


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
    findings: list[FindingJson]


@closed
class ReleasesJson(TypedDict):
    rows: list[ReleaseJson]


@closed
class SeriesPointJson(RateJson):
    at: int


@closed
class SeriesGroupJson(TypedDict):
    name: str
    points: list[SeriesPointJson]


@closed
class SeriesJson(TypedDict):
    metric: str
    of: str
    by: str
    by_text: str
    horizon_s: int
    bucket_s: int
    since: int
    until: int
    left_out: int
    groups: list[SeriesGroupJson]


@closed
class CurvePointJson(TypedDict):
    horizon_s: int
    accepted: int
    observed: int
    coverage: float
    rates: dict[str, RateJson]


@closed
class CurveJson(TypedDict):
    name: str
    points: list[CurvePointJson]


@closed
class RetentionJson(TypedDict):
    by: str
    left_out: int
    groups: list[CurveJson]


@closed
class PartJson(TypedDict):
    kind: str
    count: int


@closed
class StepJson(TypedDict):
    name: str
    count: int
    share: float | None
    of: str
    parts: list[PartJson]


@closed
class FunnelJson(TypedDict):
    horizon_s: int
    steps: list[StepJson]


@closed
class GroupJson(TypedDict):
    name: str
    dimensions: dict[str, str]
    opportunities: int
    shown: int
    accepted: int
    coverage: float | None
    rates: dict[str, RateJson]


@closed
class CompareJson(TypedDict):
    by: str
    by_text: str
    horizon_s: int
    left_out: int
    groups: list[GroupJson]


@closed
class RemarkJson(TypedDict):
    event_id: str
    generation_id: str
    choice_index: int
    at: int
    kind: Literal["flag", "vote", "edit"]
    app: str
    prompt_name: str
    prompt_version: str
    model: str
    valence: Literal["positive", "negative", "neutral"]
    comment: str
    label: str | None
    status: str | None
    severity: str | None
    value: int | None
    score: float | None
    changed_share: float | None


@closed
class FeedbackJson(TypedDict):
    rows: list[RemarkJson]


@closed
class OrphanRowJson(TypedDict):
    app: str
    count: int
    share: float
    oldest_at: int


@closed
class LagRowJson(TypedDict):
    topic: str
    p50_s: float
    p99_s: float
    rows: int
    newest_at: int


@closed
class LetterRowJson(TypedDict):
    topic: str
    stage: str
    error_type: str
    field: str
    count: int
    newest_at: int
    reason: str


@closed
class IntakeJson(TypedDict):
    orphans: list[OrphanRowJson]
    lag: list[LagRowJson]
    dead_letters: list[LetterRowJson]


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
    difference: EstimateJson | None
    reasons: list[ReasonJson]
    nowhere: str
    cuts: list[CutJson]


@closed
class WhereJson(TypedDict):
    rows: dict[str, str]


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
class ShareJson(TypedDict):
    name: str
    of: str
    better: str
    rate: RateJson
    previous: RateJson | None
    change: ChangeJson | None


@closed
class CostJson(TypedDict):
    value: float
    low: float
    high: float
    kept: int


@closed
class QuantileJson(TypedDict):
    level: float
    value_ms: float
    low_ms: float
    high_ms: float
    calls: int


@closed
class CostsJson(TypedDict):
    now: CostJson | None
    before: CostJson | None


@closed
class LatenciesJson(TypedDict):
    now: list[QuantileJson]
    before: list[QuantileJson]


@closed
class MoreJson(TypedDict):
    horizon_s: int
    period: str
    shares: list[ShareJson]
    cost: CostsJson
    latency: LatenciesJson
