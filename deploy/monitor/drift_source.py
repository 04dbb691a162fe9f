"""The drift detector's gauges."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, get_args

from prometheus_client.core import Metric as Family

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.drifting import Detector, Standing
from keeprate.deploy.monitor.expected import metric_label
from keeprate.deploy.monitor.families import gauge
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality.detector import SIDES, Side, changed_at

DIRECTIONS: Final[dict[Side, str]] = {"fell": "down", "rose": "up"}
STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)


@dataclass
class DriftSource:
    """Scores what has closed, and exports every series' evidence and standing."""

    connect: Callable[[], Client]
    name: str = "drift"
    detector: Detector = field(default_factory=Detector)
    _client: Client | None = None

    def read(self) -> list[Family]:
        """Raises StoreError where the store cannot be read now."""
        self._client = self._client or self.connect()
        self.detector.refresh(self._client)
        return gauges(self.detector)


def gauges(detector: Detector) -> list[Family]:
    """Evidence, standing, dispersion and times of a detector's series. Pure."""
    evidence: dict[tuple[str, ...], float] = {}
    standing: dict[tuple[str, ...], float] = {}
    dispersion: dict[tuple[str, ...], float] = {}
    changed: dict[tuple[str, ...], float] = {}
    updated: dict[tuple[str, ...], float] = defaultdict(float)
    for series, watched in detector.watched.items():
        key = (*series[:4], metric_label(series[4]))
        now = watched.standing(detector.policy)
        standing |= {(*key, each): float(each == now) for each in STANDINGS}
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
    ]
