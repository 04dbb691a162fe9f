"""The drift detector's gauges."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, get_args

from prometheus_client.core import Metric as Family

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.drifting import Detector, Stage, Watched
from keeprate.deploy.monitor.expected import metric_label
from keeprate.deploy.monitor.families import gauge
from keeprate.deploy.why import words
from keeprate.deploy.why.drifted import Cause, Explanations
from keeprate.deploy.why.explaining import Explained
from keeprate.sinks.closed.drift_states import Series
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality.detector import SIDES, Side, changed_at

DIRECTIONS: Final[dict[Side, str]] = {"fell": "down", "rose": "up"}
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

MAX_EXPORTED: Final = 1000
"""Series, each of a dozen samples: more would only add to the cardinality. All are scored, and kept in the store."""


@dataclass
class DriftSource:
    """Scores what has closed, and exports every series' evidence and standing, and what explains what got worse."""

    connect: Callable[[], Client]
    name: str = "drift"
    detector: Detector = field(default_factory=Detector)
    explanations: Explanations = field(default_factory=Explanations)
    _client: Client | None = None

    def read(self) -> list[Family]:
        """Raises StoreError where the store cannot be read now."""
        self._client = self._client or self.connect()
        self.detector.refresh(self._client)
        self.explanations.refresh(self._client, self.detector.alarms())
        return [*gauges(self.detector), cause_gauge(self.explanations.found)]


def _exported(detector: Detector) -> list[tuple[Series, Watched]]:
    """The series that Prometheus sees: those in alarm, and the busiest."""

    def first(item: tuple[Series, Watched]) -> tuple[bool, int]:
        return item[1].stage(detector.policy) != "alarm", -sum(trials for _, trials, *_ in item[1].last_day)

    return sorted(detector.watched.items(), key=first)[:MAX_EXPORTED]


def gauges(detector: Detector) -> list[Family]:
    """Evidence, standing, dispersion and times of a detector's series. Pure."""
    evidence: dict[tuple[str, ...], float] = {}
    standing: dict[tuple[str, ...], float] = {}
    dispersion: dict[tuple[str, ...], float] = {}
    changed: dict[tuple[str, ...], float] = {}
    detectable: dict[tuple[str, ...], float] = {}
    current: dict[tuple[str, ...], float] = {}
    updated: dict[tuple[str, ...], float] = defaultdict(float)
    exported = _exported(detector)
    for series, watched in exported:
        key = (*series[:4], metric_label(series[4]))
        now = watched.stage(detector.policy)
        standing |= {(*key, each): float(each == now) for each in STAGES}
        shown = watched.standing(series[4], detector.policy)
        detectable[key] = inf if shown.detectable is None else shown.detectable
        if shown.trials:
            current[key] = shown.successes / shown.trials
        if watched.baseline is None:
            continue
        dispersion[key] = watched.baseline.dispersion
        updated[(series[0],)] = max(updated[(series[0],)], watched.state.last_batch)
        for side in SIDES:
            evidence[*key, DIRECTIONS[side]] = ratio = watched.ratio(side, detector.policy)
            if ratio >= 1:
                changed[*key, DIRECTIONS[side]] = float(changed_at(getattr(watched.state, side)))
    return [
        gauge(catalogue.DRIFT_EVIDENCE, evidence),
        gauge(catalogue.DRIFT_STATE, standing),
        gauge(catalogue.DRIFT_DISPERSION, dispersion),
        gauge(catalogue.DRIFT_CHANGED_AT, changed),
        gauge(catalogue.DRIFT_UPDATED_AT, updated),
        gauge(catalogue.DRIFT_ALARM, _alarms(detector)),
        gauge(catalogue.DRIFT_DETECTABLE, detectable),
        gauge(catalogue.DRIFT_CURRENT, current),
        gauge(catalogue.DRIFT_SERIES, {("yes",): len(exported), ("no",): len(detector.watched) - len(exported)}),
    ]


def _alarms(detector: Detector) -> dict[tuple[str, ...], float]:
    return {
        (*each.series[:4], metric_label(each.series[4]), each.told_as[2], each.cause): each.since.timestamp()
        for each in detector.alarms()
    }


def cause_gauge(found: Mapping[Cause, Explained]) -> Family:
    """What explains most of each cause; nothing of one that no cut explains for certain. Pure."""
    samples: dict[tuple[str, ...], float] = {}
    for cause, each in found.items():
        if each.reasons:
            first = each.reasons[0]
            by = "rate" if first.value else "mix"
            samples[*cause, first.cut, first.value or words.grown(first, each), by] = first.share
    return gauge(catalogue.DRIFT_CAUSE, samples)
