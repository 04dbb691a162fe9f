"""The sink's metrics are documented, named by the rules, and each once."""

from pathlib import Path

import pytest

from keeprate.schemas.telemetry.metric import Metric
from keeprate.sinks.landing.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs" / "delivery.md"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_each_metric_is_documented_with_its_remedy(metric: Metric) -> None:
    """The table in docs/delivery.md has the registry's words."""
    row = f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.meaning} | {metric.remedy} |"
    assert row in DOCS.read_text("utf-8").splitlines()


def test_names_follow_the_rules() -> None:
    """One prefix, base units, and _total for counters alone."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.startswith("keeprate_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.name.endswith("_seconds") or metric.kind != "histogram"
