"""How a metric of a process is declared: once, with its meaning and what to do when it looks wrong. Pure."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric for Prometheus.

    remedy: what an operator does about it; docs/runbook.md says more where an alert watches it.
    buckets: the bounds of a histogram, where its process has not one set for all.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    remedy: str
    buckets: tuple[float, ...] = ()
