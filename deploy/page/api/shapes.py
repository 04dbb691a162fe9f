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
    unknown: list[str]


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
    places: dict[str, int]
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
