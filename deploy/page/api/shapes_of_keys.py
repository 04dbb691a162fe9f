"""The types of answers that hold single numbers of the period: the key numbers, and the rest, each against before."""

from typing import Literal

from typing_extensions import TypedDict

from keeprate.deploy.page.api.shapes import ChangeJson, RateJson, closed


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


@closed
class UsualJson(TypedDict):
    """A key number in the weeks before the period, and how it has changed since."""

    rate: RateJson
    change: ChangeJson | None


@closed
class BaselineJson(TypedDict):
    """By the name of a key number; none where the period is as long as those weeks."""

    days: int
    rows: dict[str, UsualJson]
