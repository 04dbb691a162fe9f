"""PromQL for the panels. A label that a metric does not have is refused here, and not found empty in a panel. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from keeprate.deploy.grafana.names import Exported

VARIABLES: Final = {"app": "$app", "prompt": "$prompt", "prompt_version": "$version"}
"""The dashboard's variables, by the label that each filters."""
WINDOW: Final = "$window"
"""How much of quality one point tells: what closes minutes late, and is little, is no matter of seconds."""
RATE: Final = "$__rate_interval"


class LabelError(ValueError):
    """An expression names a label that its metric does not have."""


def series(metric: Exported, *conditions: str, part: str = "", chosen: Iterable[str] = VARIABLES) -> str:
    """A metric's series as the variables filter them, and by conditions such as `stage="join"`.

    part: of a histogram: `_bucket`, `_sum` or `_count`. chosen: the labels that variables filter, where it has them.
    """
    _known(metric, *(re.split("[=!]", condition, maxsplit=1)[0] for condition in conditions))
    filters = [f'{label}=~"{VARIABLES[label]}"' for label in chosen if label in metric.labels]
    selector = ", ".join((*filters, *conditions))
    return f"{metric.name}{part}{{{selector}}}" if selector else f"{metric.name}{part}"


def total(metric: Exported, by: Sequence[str], *conditions: str, window: str = WINDOW) -> str:
    """How much a counter grew within the window, by labels."""
    _known(metric, *by)
    return f"{_sum(by)} (increase({series(metric, *conditions)}[{window}]))"


def per_second(metric: Exported, by: Sequence[str], *conditions: str) -> str:
    """A counter's rate, by labels."""
    _known(metric, *by)
    return f"{_sum(by)} (rate({series(metric, *conditions)}[{RATE}]))"


def share(metric: Exported, by: Sequence[str], of: str, among: str = "", *conditions: str, window: str = WINDOW) -> str:
    """The share of a counter that one condition holds of, among all or those of another: sums, then their quotient."""
    part = total(metric, by, *conditions, of, window=window)
    whole = total(metric, by, *conditions, *((among,) if among else ()), window=window)
    return f"{part} / ({whole} > 0)"


def quantile(metric: Exported, by: Sequence[str], q: float, *conditions: str, window: str = WINDOW) -> str:
    """A quantile of a histogram, by labels."""
    _known(metric, *by)
    grown = f"{_sum((*by, 'le'))} (increase({series(metric, *conditions, part='_bucket')}[{window}]))"
    return f"histogram_quantile({q:g}, {grown})"


def largest(metric: Exported, by: Sequence[str], *conditions: str, chosen: Iterable[str] = VARIABLES) -> str:
    """The largest of a gauge's series, by labels: of several monitors or members that tell the same."""
    _known(metric, *by)
    return f"max by ({', '.join(by)}) ({series(metric, *conditions, chosen=chosen)})"


def added(metric: Exported, by: Sequence[str], *conditions: str) -> str:
    """The sum of a gauge's series, by labels: of processes that each tell a part."""
    _known(metric, *by)
    return f"{_sum(by)} ({series(metric, *conditions)})"


def slope(metric: Exported, by: Sequence[str], *conditions: str) -> str:
    """How much a gauge changes in a second, by labels."""
    _known(metric, *by)
    return f"max by ({', '.join(by)}) (deriv({series(metric, *conditions)}[{RATE}]))"


def holding(metric: Exported, by: Sequence[str], chosen: Iterable[str] = VARIABLES) -> str:
    """The series of a gauge that stand at 1: which of several states holds."""
    return f"{largest(metric, by, chosen=chosen)} == 1"


def age_s(metric: Exported, by: Sequence[str], *conditions: str) -> str:
    """How long ago a moment was, in seconds."""
    return f"time() - {largest(metric, by, *conditions)}"


def moment_ms(metric: Exported, by: Sequence[str], chosen: Iterable[str] = VARIABLES) -> str:
    """A moment in milliseconds, as Grafana shows dates."""
    return f"{largest(metric, by, chosen=chosen)} * 1000"


def _sum(by: Sequence[str]) -> str:
    return f"sum by ({', '.join(by)})" if by else "sum"


def _known(metric: Exported, *labels: str) -> None:
    for label in labels:
        # Prometheus adds these two when it scrapes.
        if label not in (*metric.labels, "job", "instance"):
            raise LabelError(f"{metric.name} has no label {label}, only {', '.join(metric.labels)}")
