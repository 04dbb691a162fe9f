"""One Alertmanager: its alerts and receivers by its API, version 2, and what it delivered by its own metrics."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

_TIMEOUT_S: Final = 10.0
_SAMPLE: Final = re.compile(r"^(alertmanager_notification\w+_total)\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_UNITS_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}


class AlertmanagerError(RuntimeError):
    """It did not answer, or refused a request; the text says which."""


@dataclass(frozen=True)
class Firing:
    """An alert that an Alertmanager holds.

    receivers: by which it is to be told. silenced, inhibited: whether it is kept back, and so is not told.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    since: datetime
    receivers: tuple[str, ...]
    silenced: bool
    inhibited: bool


@dataclass(frozen=True)
class Routing:
    """What the configuration says of delivery.

    ways: by receiver, how it reaches somebody, such as `webhook` or `slack`; none for one that reaches nobody.
    longest_wait_s: for how long any route holds a new group back, before it tells of it.
    """

    ways: Mapping[str, tuple[str, ...]]
    longest_wait_s: float


@dataclass(frozen=True)
class Sent:
    """Requests that an Alertmanager has made since it started, in one way: how many, and how many of them failed."""

    requests: int = 0
    failed: int = 0


class Alertmanager:
    """The Alertmanager at an address. Every method raises AlertmanagerError when it does not answer in time."""

    def __init__(self, url: str, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s

    def post(self, labels: Mapping[str, str], annotations: Mapping[str, str], starts: datetime, ends: datetime) -> None:
        """Have an alert fire until `ends`; the same labels again change when that is."""
        alert = {"labels": labels, "annotations": annotations, "startsAt": _time(starts), "endsAt": _time(ends)}
        self._ask("/api/v2/alerts", json.dumps([alert]).encode())

    def alerts(self, labels: Mapping[str, str] | None = None) -> list[Firing]:
        """Those that fire, or those of them with such labels."""
        filters = [("filter", f"{name}={json.dumps(value)}") for name, value in (labels or {}).items()]
        return [_firing(alert) for alert in json.loads(self._ask(f"/api/v2/alerts?{urllib.parse.urlencode(filters)}"))]

    def routing(self) -> Routing:
        """As it is loaded now, which need not be what its file says."""
        return routing(json.loads(self._ask("/api/v2/status"))["config"]["original"])

    def sent(self) -> dict[str, Sent]:
        """What it has sent, by the way."""
        return sent(self._ask("/metrics").decode())

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            request = urllib.request.Request(self.url + path, body, headers)
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:200]
            raise AlertmanagerError(f"{self.url}{path} answers {error.code}: {said}") from error
        except (OSError, ValueError) as error:
            raise AlertmanagerError(f"no Alertmanager answers at {self.url}: {error}") from error


def routing(configuration: str) -> Routing:
    """Read from a configuration as an Alertmanager prints its own: always the same layout, which this relies on."""
    ways: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in configuration.partition("\nreceivers:\n")[2].splitlines():
        if not line.startswith(("- ", "  ")):
            break
        if line.startswith("- name: "):
            name = line.removeprefix("- name: ").strip("\"'")
            ways[name] = ()
        elif way := re.match(r"  (\w+)_configs:", line):
            ways[name] = (*ways[name], way[1])
    waits = re.findall(r"^ +(?:- )?group_wait: (\S+)$", configuration, re.MULTILINE)
    # An Alertmanager that is told nothing waits for 30 s.
    return Routing(ways, max(map(_seconds, waits), default=30.0))


def sent(metrics: str) -> dict[str, Sent]:
    """Read from an Alertmanager's /metrics. Newer ones tell receivers and reasons apart, which are summed here."""
    counts: dict[tuple[str, str], float] = {}
    for name, labels, value in _SAMPLE.findall(metrics):
        key = (name, dict(_LABEL.findall(labels)).get("integration", ""))
        counts[key] = counts.get(key, 0) + float(value)
    requests, failed = "alertmanager_notification_requests_total", "alertmanager_notification_requests_failed_total"
    ways = {way for _, way in counts}
    return {way: Sent(int(counts.get((requests, way), 0)), int(counts.get((failed, way), 0))) for way in ways}


def _firing(alert: Mapping[str, Any]) -> Firing:
    status: Mapping[str, Sequence[str]] = alert["status"]
    return Firing(
        labels=alert["labels"],
        annotations=alert["annotations"],
        since=datetime.fromisoformat(alert["startsAt"]),
        receivers=tuple(receiver["name"] for receiver in alert["receivers"]),
        silenced=bool(status["silencedBy"]),
        inhibited=bool(status["inhibitedBy"]),
    )


def _time(at: datetime) -> str:
    return at.isoformat()


def _seconds(duration: str) -> float:
    """A duration as Prometheus writes it: 1h30m, 0s, 500ms."""
    return sum(float(number) * _UNITS_S[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))
