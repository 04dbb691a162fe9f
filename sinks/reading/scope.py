"""The question: which suggestions to count, of which time, cut by what. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from keeprate.sinks.store.clickhouse import to_ms

DIMENSIONS: Final = (
    "app",
    "environment",
    "user",
    "operation",
    "surface",
    "language",
    "provider",
    "model",
    "prompt_name",
    "prompt_version",
    "context_strategy",
    "step",
    "experiment",
    "variant",
    "toolset",
)
"""What numbers can be cut and filtered by."""

SETTLE_S: Final = 600
"""How long a user has to answer, and the answer to arrive, before silence counts as one: 5 minutes each."""
GRACE_S: Final = 300
"""How long after its horizon a retention check has to arrive before it counts as unobserved."""
HOUR_MS: Final = 3_600_000


class ScopeError(ValueError):
    """A scope names a dimension that does not exist, or a span that holds no time. Says which, and what would do."""


@dataclass(frozen=True)
class Scope:
    """Which suggestions to count, and how to cut them.

    since, until: the generation's occurred_at, from `since` up to and without `until`.
    as_of: the event time up to which the log is taken as complete. What is younger than its window is not settled.
    by: the dimensions to cut by; the others are pooled.
    only: the values to keep, by dimension.
    bucket_s: the length of a time bucket, aligned to the epoch; 0 for one bucket.
    settle_s, grace_s: how long to wait for an answer, and for a check after its horizon.
    horizons: in seconds; none for those that each app's checks have.
    eras: times within the span at which counts are told apart besides; a row's `era` says how many of them were past.
    in_buckets: the one horizon of which counts are by bucket, those of others being in one; 0 for every horizon.
    """

    since: datetime
    until: datetime
    as_of: datetime
    by: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bucket_s: int = 0
    settle_s: int = SETTLE_S
    grace_s: int = GRACE_S
    horizons: Sequence[int] = ()
    eras: Sequence[datetime] = ()
    in_buckets: int = 0

    def __post_init__(self) -> None:
        for name in (*self.by, *self.only):
            if name not in DIMENSIONS:
                raise ScopeError(f"{name}: no such dimension; choose from {', '.join(DIMENSIONS)}")
        if not self.since < self.until:
            raise ScopeError(f"since: {self.since.isoformat()} is not before until, {self.until.isoformat()}")

    @property
    def since_ms(self) -> int:
        return to_ms(self.since)

    @property
    def until_ms(self) -> int:
        return to_ms(self.until)

    @property
    def as_of_ms(self) -> int:
        return to_ms(self.as_of)

    def parameters(self) -> dict[str, Any]:
        """What `bucket`, `condition` and the measures refer to."""
        chosen = {f"only_{name}": list(values) for name, values in self.only.items()}
        return chosen | {
            "since_ms": self.since_ms,
            "until_ms": self.until_ms,
            "as_of_ms": self.as_of_ms,
            "bucket_ms": self.bucket_s * 1000,
            "settle_ms": self.settle_s * 1000,
        }

    def bucket(self, at_ms: str) -> str:
        """When the bucket of a time begins, in milliseconds."""
        return f"intDiv({at_ms}, {{bucket_ms:Int64}}) * {{bucket_ms:Int64}}" if self.bucket_s else "{since_ms:Int64}"

    @property
    def era_ms(self) -> list[int]:
        return [to_ms(at) for at in self.eras]

    @property
    def keys(self) -> tuple[str, ...]:
        """What tells the rows of an answer apart."""
        return ("bucket_ms", *(("era",) if self.eras else ()), *self.by)

    def columns(self, at_ms: str, of_horizons: bool = False) -> list[str]:
        """The same, as columns of rows that are of a time; of_horizons: and of a `horizon_s`, 0 being each's."""
        era = [f"toUInt8(arrayCount(begins -> {at_ms} >= begins, {self.era_ms})) AS era"] if self.eras else []
        bucket = self.bucket(at_ms)
        if of_horizons and self.in_buckets and self.bucket_s:
            bucket = f"if(horizon_s IN (0, {self.in_buckets}), {bucket}, {{since_ms:Int64}})"
        return [f"{bucket} AS bucket_ms", *era, *self.by]

    def at_horizon(self, horizon_s: int) -> "Scope":
        """As the counts of one horizon are told apart."""
        return replace(self, bucket_s=0) if self.in_buckets not in (0, horizon_s) else self

    def keeps(self) -> list[str]:
        """The conditions of a row's dimensions."""
        return [f"{name} IN {{only_{name}:Array(String)}}" for name in self.only]

    def condition(self) -> str:
        """Of a row of `suggestions`. The hour repeats what the time says: it is what the index knows."""
        span = ("cohort_ms >= {since_ms:Int64}", "cohort_ms < {until_ms:Int64}")
        return " AND ".join((*span, self.hours, *self.keeps()))

    @property
    def hours(self) -> str:
        """A condition of an hour: some of it is in the span."""
        first, last = max(0, self.since_ms // HOUR_MS), max(0, (self.until_ms - 1) // HOUR_MS)
        return f"hour BETWEEN {first} AND {last}"
