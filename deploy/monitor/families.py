"""From totals and gauges to what Prometheus scrapes. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.totals import Total, Totals, Values
from keeprate.schemas.telemetry.metric import Metric
from keeprate.sinks.closed.batches import LATENCY_BOUNDS_S, RATIO_BOUNDS, RETENTION, Labels

STATUSES: Final = ("ok", "error", "timeout", "refused", "cancelled")
OUTCOMES: Final = ("accepted", "rejected", "ignored")
RETAINED: Final = ("retained", "edited", "removed", "unknown")
FEEDBACK: Final = ("thumbs_up", "thumbs_down", "flag", "copy", "edit")
DIRECTIONS: Final = ("input", "output")
_NOTHING: Final = Total()

Sample = TypeVar("Sample", bound=Values)


def counter(metric: Metric, samples: Mapping[Sample, float]) -> Family:
    """A counter's samples, by the values of its labels."""
    family = CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for values, number in sorted(samples.items()):
        family.add_metric(values, number)
    return family


def gauge(metric: Metric, samples: Mapping[Sample, float]) -> Family:
    """A gauge's samples, by the values of its labels."""
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for values, number in sorted(samples.items()):
        family.add_metric(values, number)
    return family


def quality(totals: Totals, announced: Iterable[Labels] = ()) -> list[Family]:
    """Every counter and histogram that is a sum of batches.

    announced: series that have been seen and not counted yet. They stand at 0 with every outcome, because Prometheus
    does not see the first increase of a series that appears with it.
    """
    new = list(announced)
    return [
        counter(catalogue.GENERATIONS, _counts(totals, "generation", _app_model, STATUSES, new)),
        counter(catalogue.SUGGESTIONS, _counts(totals, "acceptance", _all, OUTCOMES, new)),
        counter(catalogue.RETENTION_CHECKS, _retention(totals, new)),
        counter(catalogue.FEEDBACK_EVENTS, _counts(totals, "feedback", _app_prompt, FEEDBACK, new)),
        counter(catalogue.TOKENS, _counts(totals, "tokens", _app_model, DIRECTIONS, new, lambda each: each.total)),
        counter(catalogue.LABEL_OVERFLOW, _counts(totals, "overflow", lambda labels: (), (), ())),
        histogram(catalogue.DURATION, totals.series("latency", _app_model), LATENCY_BOUNDS_S),
        histogram(catalogue.FIRST_TOKEN, totals.series("first_token", _app_model), LATENCY_BOUNDS_S),
        histogram(catalogue.EDIT_DISTANCE, totals.series("edit_distance", _app_prompt_version), RATIO_BOUNDS),
    ]


def _all(labels: Labels) -> Values:
    return labels.app, labels.prompt, labels.prompt_version, labels.model, labels.surface


def _prompt(labels: Labels) -> Values:
    return labels.app, labels.prompt, labels.prompt_version, labels.model


def _app_model(labels: Labels) -> Values:
    return labels.app, labels.model


def _app_prompt(labels: Labels) -> Values:
    return labels.app, labels.prompt


def _app_prompt_version(labels: Labels) -> Values:
    return labels.app, labels.prompt, labels.prompt_version


def _counts(
    totals: Totals,
    kind: str,
    values_of: Callable[[Labels], Values],
    outcomes: Sequence[str],
    announced: Sequence[Labels],
    number: Callable[[Total], float] = lambda each: each.count,
) -> dict[Values, float]:
    return {
        (*values, outcome): number(each)
        for values, found in totals.series(kind, values_of, announced).items()
        for outcome, each in (dict.fromkeys(outcomes, _NOTHING) | found).items()
    }


def _retention(totals: Totals, announced: Sequence[Labels]) -> dict[Values, float]:
    samples: dict[Values, float] = {}
    for kind in totals.kinds(RETENTION):
        horizon = horizon_label(int(kind.removeprefix(RETENTION)))
        for (*labels, outcome), number in _counts(totals, kind, _prompt, RETAINED, announced).items():
            samples[*labels, horizon, outcome] = number
    return samples


def horizon_label(horizon_s: int) -> str:
    """A horizon as a label's value: 30s, 10m, 24h."""
    for size_s, unit in ((3600, "h"), (60, "m")):
        if horizon_s % size_s == 0:
            return f"{horizon_s // size_s}{unit}"
    return f"{horizon_s}s"


def histogram(metric: Metric, found: Mapping[Values, Mapping[str, Total]], bounds: Sequence[float]) -> Family:
    """A histogram with cumulative buckets, from counts per bucket."""
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    for values, buckets in sorted(found.items()):
        below, cumulative = 0, []
        for name in names:
            below += buckets.get(name, _NOTHING).count
            # 5.0, not 5: as Prometheus 3 writes it, so that a rule may name the bucket.
            cumulative.append((name if name == "+Inf" else str(float(name)), below))
        family.add_metric(values, cumulative, sum(each.total for each in buckets.values()))
    return family
