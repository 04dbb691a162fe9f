"""The gauges of releases."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from prometheus_client.core import Metric as Family

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.closing import CAUGHT_UP_MESSAGES, horizons_of
from keeprate.deploy.monitor.expected import metric_label
from keeprate.deploy.monitor.families import gauge
from keeprate.deploy.monitor.releasing import Releases
from keeprate.deploy.releases.judging import Release, ReleaseFinding
from keeprate.sinks.closed.batches import MAX_HORIZONS, RETENTION, closable_until, closed_until
from keeprate.sinks.closed.watermarks import progress
from keeprate.sinks.reading.versions import FAMILY
from keeprate.sinks.store.clickhouse import Client
from keeprate.streams.quality.verdict import VERDICTS

RECENT: Final = timedelta(seconds=20)
"""What landed so lately says what is arriving. Of closed batches, which stay as they are, a minute's says it."""
_LABEL_OF: Final = {"prompt_name": "prompt"}
"""Where a dimension has another name in Prometheus."""


@dataclass
class ReleaseSource:
    """Judges what is due, and exports every release's evidence, difference and verdict.

    lag_messages: how far the consumers are behind, if known.
    """

    connect: Callable[[], Client]
    lag_messages: Callable[[], int | None] = lambda: None
    name: str = "releases"
    releases: Releases = field(default_factory=Releases)
    _client: Client | None = None

    def read(self) -> list[Family]:
        """Raises StoreError where the store cannot be read now."""
        self._client = self._client or self.connect()
        now = datetime.now(UTC)
        self.releases.refresh(self._client, now, self._complete(self._client, now))
        return gauges(self.releases, self._counted(self._client, now))

    def _counted(self, client: Client, now: datetime) -> Mapping[str, Collection[int]]:
        """The horizons that apps are counted by; of those alone whose releases have more."""
        used = list(self.releases.in_use())
        more = {of.app for of, found in used if len({each.horizon_s for each in found} - {0}) > MAX_HORIZONS}
        closed = closed_until(client) if more else ()
        return {app: horizons_of(client, app, now, closed) for app in more}

    def _complete(self, client: Client, now: datetime) -> Mapping[str, datetime]:
        """Up to when batches of each app could close; nothing while what has occurred may not be joined yet."""
        if (self.lag_messages() or 0) > CAUGHT_UP_MESSAGES:
            return {}
        reached = progress(client, now, RECENT)
        return {app: closable_until("generation", each.watermark) for app, each in reached.items()}


def gauges(releases: Releases, counted: Mapping[str, Collection[int]] = MappingProxyType({})) -> list[Family]:
    """Evidence, differences, verdicts and times of the releases in use. Pure.

    counted: the only horizons of an app; it has all that are not there.
    """
    evidence: dict[tuple[str, ...], float] = {}
    differences: dict[tuple[str, ...], float] = {}
    verdicts: dict[tuple[str, ...], float] = {}
    released: dict[tuple[str, ...], float] = {}
    for release, found in releases.in_use():
        own = _labels(release)
        released[own] = release.released_at.timestamp()
        for each in found:
            if each.horizon_s and each.horizon_s not in counted.get(release.app, (each.horizon_s,)):
                continue
            key = (*own, _metric(each))
            evidence[*key, "down"], evidence[*key, "up"] = each.judgement.fell, each.judgement.rose
            verdicts |= {(*key, verdict): float(verdict == each.judgement.verdict) for verdict in VERDICTS}
            if (difference := each.comparison.difference) is not None:
                bounds = (("estimate", difference.value), ("low", difference.low), ("high", difference.high))
                differences |= {(*key, bound): value for bound, value in bounds}
    return [
        gauge(catalogue.RELEASE_EVIDENCE, evidence),
        gauge(catalogue.RELEASE_DIFFERENCE, differences),
        gauge(catalogue.RELEASE_VERDICT, verdicts),
        gauge(catalogue.RELEASED_AT, released),
    ]


def _labels(release: Release) -> tuple[str, ...]:
    names = (*FAMILY[release.component], release.component)
    values = dict(zip(names, (*release.family, release.version), strict=True))
    labels = {_LABEL_OF.get(name, name): value for name, value in values.items()} | {"predecessor": release.predecessor}
    return tuple(labels.get(name, "") for name in catalogue.RELEASE)


def _metric(found: ReleaseFinding) -> str:
    return metric_label(f"{RETENTION}{found.horizon_s}") if found.metric.at_horizons else found.metric.name
