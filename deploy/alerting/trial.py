"""One test alert through a real Alertmanager, and what became of it."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.deploy.alerting.alertmanager import Alertmanager, Firing, Sent
from keeprate.deploy.alerting.listener import Listener

ID_LABEL: Final = "app"
"""A name of its own here: Alertmanager tells of a new group soon, and of more in an old one minutes later."""
_SLACK_S: Final = 15.0
_POLL_S: Final = 0.25


@dataclass(frozen=True)
class ToldByWay:
    """What was sent in one way while the test alert was on it. Other alerts that were told meanwhile count, too."""

    way: str
    delivered: int
    failed: int


@dataclass(frozen=True)
class Verdict:
    """What became of a test alert. arrived: whether a receiver answered for it. why: in a sentence, with the remedy.

    receivers: by which it was routed. told: in the ways that they have. after_s: from firing until that was known.
    """

    arrived: bool
    why: str
    labels: Mapping[str, str]
    receivers: tuple[str, ...]
    told: tuple[ToldByWay, ...]
    after_s: float


def fire(
    alertmanager: Alertmanager,
    labels: Mapping[str, str],
    runbook_url: str,
    wait_s: float | None,
    listener: Listener | None,
    on_wait: Callable[[tuple[str, ...], float], None],
) -> Verdict:
    """Fire a test alert, wait until it was told, and end it. Raises AlertmanagerError.

    labels: beside its name, or instead. wait_s: None for as long as the longest group_wait, and 15 s.
    listener: when given, only what comes there counts. on_wait: is told where it was routed, and how long to wait.
    """
    trial = _Trial(alertmanager, labels, runbook_url, listener)
    try:
        return trial.verdict(wait_s, on_wait)
    finally:
        trial.end()


class _Trial:
    def __init__(
        self, alertmanager: Alertmanager, labels: Mapping[str, str], runbook_url: str, listener: Listener | None
    ) -> None:
        self._alertmanager = alertmanager
        self._listener = listener
        self._id = f"test-{uuid.uuid4().hex[:12]}"
        self._labels = {"alertname": "KeeprateTest", "severity": "warning", **labels, ID_LABEL: self._id}
        self._annotations = {
            "summary": "A test: keeprate alerts test sent this alert",
            "description": "Nothing is wrong. Whoever reads this is reached by Keeprate's alerts.",
            "runbook_url": f"{runbook_url}#watchdog",
        }
        self._routing = alertmanager.routing()
        self._before = alertmanager.sent()
        self._began_at = datetime.now(UTC)
        self._began_s = time.monotonic()

    def verdict(self, wait_s: float | None, on_wait: Callable[[tuple[str, ...], float], None]) -> Verdict:
        wait_s = self._routing.longest_wait_s + _SLACK_S if wait_s is None else wait_s
        # It ends by itself, should this process end before it can say so.
        self._post(self._began_at + timedelta(seconds=wait_s + 60))
        alert = self._taken()
        if (why := self._hopeless(alert)) or alert is None:
            return self._judged(False, why, alert)
        on_wait(alert.receivers, wait_s)
        while time.monotonic() - self._began_s < wait_s:
            time.sleep(_POLL_S)
            if why := self._arrival(alert):
                return self._judged(True, why, alert)
        return self._judged(False, self._failure(alert, wait_s), alert)

    def end(self) -> None:
        """Have it end now. What was told of it is told of that, too, after the group's interval."""
        self._post(datetime.now(UTC))

    def _post(self, ends: datetime) -> None:
        self._alertmanager.post(self._labels, self._annotations, self._began_at, ends)

    def _taken(self) -> Firing | None:
        """The alert as the Alertmanager has it. It takes it within moments, and judges then whether to keep it back."""
        found: list[Firing] = []
        for _ in range(20):
            time.sleep(_POLL_S)
            found = self._alertmanager.alerts({ID_LABEL: self._id}) or found
            if found and time.monotonic() - self._began_s > 1:
                break
        return found[0] if found else None

    def _hopeless(self, alert: Firing | None) -> str:
        if alert is None:
            return "The Alertmanager took the alert and does not show it: is it one of several that do not gossip?"
        if alert.silenced or alert.inhibited:
            what = "a silence" if alert.silenced else "another alert that fires"
            return f"It is kept back by {what}: see {self._alertmanager.url}/#/alerts."
        if not self._ways(alert):
            names = ", ".join(alert.receivers)
            return f"It was routed to {names}, which has no way to reach anybody: give it one in alertmanager.yml."
        return ""

    def _ways(self, alert: Firing) -> list[str]:
        return sorted({way for name in alert.receivers for way in self._routing.ways.get(name, ())})

    def _arrival(self, alert: Firing) -> str:
        if self._listener is not None:
            receiver = self._listener.receiver_of(ID_LABEL, self._id)
            return f"It came to {self._listener.url} by the receiver {receiver}." if receiver else ""
        told = self._told(alert)
        if all(each.delivered for each in told):
            # A request counts, and a moment later that it failed: what is read twice is between no two counts.
            time.sleep(_POLL_S)
            told = self._told(alert)
        if all(each.delivered for each in told):
            return f"Told by {', '.join(each.way for each in told)}, and it was taken there."
        return ""

    def _told(self, alert: Firing) -> tuple[ToldByWay, ...]:
        after, told = self._alertmanager.sent(), []
        for way in self._ways(alert):
            was, now = self._before.get(way, Sent()), after.get(way, Sent())
            failed = now.failed - was.failed
            told.append(ToldByWay(way, now.requests - was.requests - failed, failed))
        return tuple(told)

    def _failure(self, alert: Firing, wait_s: float) -> str:
        failing = [each.way for each in self._told(alert) if each.failed]
        if failing:
            return f"Sending by {', '.join(failing)} fails: the Alertmanager's log says why."
        if self._listener is not None:
            return f"Nothing came to {self._listener.url} within {wait_s:g} s: give a receiver a webhook to there."
        return f"It was not told within {wait_s:g} s: does a route have a longer group_wait, or a mute time?"

    def _judged(self, arrived: bool, why: str, alert: Firing | None) -> Verdict:
        receivers = alert.receivers if alert else ()
        told = self._told(alert) if alert else ()
        return Verdict(arrived, why, self._labels, receivers, told, time.monotonic() - self._began_s)
