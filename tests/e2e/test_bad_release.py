"""From an app's events to a delivered alert: Kafka, worker, sink, monitor, Prometheus and Alertmanager, all real.

The store begins with the demo's twelve days up to yesterday. Then the simulator's next hours go through Kafka, in which
one app has a release that is bad from its first event on, one that was good gets worse, and one has a harmless release;
and then the day after, in which the bad release is taken back and the other is as it was.

What is quicker than in life: Prometheus and Alertmanager look every few seconds, and an alert is held for seconds after
its cause, not for half an hour. What fires is decided by the rules as they are shipped.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from keeprate.deploy.alerting.listener import Listener, Notification, ToldAlert
from keeprate.deploy.demo.simulate import HOUR_MS, rhythm, simulate
from keeprate.deploy.demo.story import AGENT, BAD, DAY_MS, EDITOR, SUPPORT, Episode, World
from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess, accepts, free_port
from keeprate.deploy.local.stack import keeprate
from keeprate.deploy.monitor.configure import Addresses, write_configuration
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.producers import Keeprate
from keeprate.schemas.events import Event
from keeprate.schemas.topics import SOURCES
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.landing import wait_landed
from tests.reading import load_all

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow, pytest.mark.prometheus, pytest.mark.timeout(900)]

DAYS = 12
HISTORY_EVENTS = 30_000
DEADLINE_S = 400
SPLIT_MS = 11 * DAY_MS // 2
TROUBLE_MS, AFTER_MS = 6 * HOUR_MS, 26 * HOUR_MS
TROUBLE_RATE, AFTER_RATE = 0.28, 0.06
"""Events a second on average, of the simulator's own time."""
EDITOR_V3, SUPPORT_12, AGENT_20 = EDITOR.versions[0], SUPPORT.versions[0], AGENT.versions[0]


@dataclass(frozen=True)
class Story:
    """What the simulator tells, and when: the world, the beginning of the trouble and its end."""

    world: World
    trouble_at: int

    @property
    def after_at(self) -> int:
        return self.trouble_at + TROUBLE_MS

    def events(self, since: int, until: int, events_per_s: float) -> list[Event]:
        """As many of a night or of a weekend as of a working day: what is to be found has to be there at any hour."""
        rhythms = [rhythm(at_ms) for at_ms in range(since, until, HOUR_MS)]
        busy = events_per_s * len(rhythms) / sum(rhythms)
        return [sent.event for sent in simulate(self.world, since, until, busy) if sent.at < until]


@pytest.fixture(scope="module")
def story() -> Story:
    """It ends now: what the monitor closes goes by the time of events."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    trouble_at = now_ms - TROUBLE_MS - AFTER_MS
    start = (trouble_at // DAY_MS - DAYS) * DAY_MS
    until = trouble_at + TROUBLE_MS
    episodes = (
        Episode("editor", ("v3", "v4"), BAD, trouble_at, until),
        Episode("support", ("12",), replace(SUPPORT_12, acceptance=0.05), trouble_at, until),
        Episode("repo-agent", ("2.0", "2.1"), replace(AGENT_20, name="2.2"), trouble_at, now_ms),
    )
    # Of the two that v5 replaces, the older one has had most of the week before, at any time of a day.
    world = replace(World.over(7, start, DAYS), release_at=trouble_at - SPLIT_MS, episodes=episodes)
    return Story(world, trouble_at)


@pytest.fixture(scope="module")
def store_url(store: StoreProcess, story: Story) -> Iterator[str]:
    """A database with the history before the trouble, as a sink would have landed it."""
    url = f"{store.url.rstrip('/').removesuffix('/keeprate')}/bad_release"
    start = story.world.start_at
    events = story.events(start, story.trouble_at, HISTORY_EVENTS * 1000 / (story.trouble_at - start))
    migrate(url)
    with connect(url) as client:
        load_all(client, events, datetime.now(UTC) - timedelta(minutes=10))
    yield url
    with connect(url, "default") as client:
        client.command("DROP DATABASE bad_release")


@dataclass
class Stack:
    """Where its parts answer, and every message that came to the webhook."""

    brokers: str
    prometheus: int
    messages: list[Notification]

    def emit(self, events: list[Event]) -> None:
        """Send them as the apps would, and return once they are joined and landed."""
        for app in ("editor", "support", "repo-agent"):
            with Keeprate(app=app, brokers=self.brokers) as client:
                for event in events:
                    if event["app"] == app:
                        assert client.emit(event, block=True)
                assert client.flush(30) == 0
        topics = [topic.name for topic in SOURCES]
        wait_landed(self.brokers, "keeprate-join", topics, 120)
        wait_landed(self.brokers, "keeprate-sink", [*topics, "keeprate.outcomes"], 120)

    def told(self, status: str) -> list[ToldAlert]:
        """The alerts of all messages that were told as firing or as resolved, in order, without the dead man's."""
        alerts = [alert for message in list(self.messages) for alert in message.alerts]
        return [each for each in alerts if each.status == status and each.labels["alertname"] != "Watchdog"]

    def names(self, status: str) -> list[tuple[str, str]]:
        return [(each.labels["alertname"], each.labels["app"]) for each in self.told(status)]

    def release(self, version: str, status: str = "firing") -> ToldAlert | None:
        """What was told first of a version."""
        of_version = (each for each in self.told(status) if each.labels.get("prompt_version") == version)
        return next((each for each in of_version if each.labels["alertname"] == "KeeprateReleaseWorse"), None)

    def query(self, expression: str) -> list[dict[str, str]]:
        path = f"http://127.0.0.1:{self.prometheus}/api/v1/query?query={quote(expression)}"
        with urlopen(path, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return [each["metric"] for each in found["data"]["result"]]


@pytest.fixture(scope="module")
def stack(
    store_url: str, kafka_runs: None, require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Everything that `keeprate up` starts but the page."""
    directory = tmp_path_factory.mktemp("bad-release")
    messages: list[Notification] = []
    with ExitStack() as opened:
        listener = opened.enter_context(Listener(0, messages.append))
        broker = opened.enter_context(KafkaBroker(directory / "kafka"))
        create_topics(broker.bootstrap)
        prometheus, commands = _commands(directory, require, listener.url)
        env = {
            "KEEPRATE_BROKERS": broker.bootstrap,
            "KEEPRATE_STORE_URL": store_url,
            "KEEPRATE_DATA_DIR": str(directory),
        }
        for name, argv in commands.items():
            opened.enter_context(ChildProcess(name, argv, directory / f"{name}.log", env))
        until(lambda: accepts(prometheus), "Prometheus")
        yield Stack(broker.bootstrap, prometheus, messages)


def _commands(
    directory: Path, require: Callable[[str], str], webhook_url: str
) -> tuple[int, dict[str, tuple[str, ...]]]:
    """Where Prometheus will answer, and the command lines, with the shipped files but for times and addresses."""
    monitor, worker, sink, prometheus, alertmanager = (free_port() for _ in range(5))
    targets = {"keeprate-monitor": monitor, "keeprate-worker": worker, "keeprate-sink": sink}
    addresses = Addresses(alertmanager=f"127.0.0.1:{alertmanager}", webhook_url=webhook_url)
    path = write_configuration(directory, {job: f"127.0.0.1:{port}" for job, port in targets.items()}, addresses)
    _quicken(path, {"interval: 15s": "interval: 4s"})
    _quicken(directory / "rules.yml", {"keep_firing_for: 30m": "keep_firing_for: 4s"})
    waits = {"group_wait: 30s": "group_wait: 3s", "group_interval: 5m": "group_interval: 4s"}
    _quicken(directory / "alertmanager.yml", waits)
    return prometheus, {
        "worker": keeprate("worker", "--metrics-port", str(worker)),
        "sink": keeprate("sink", "--linger-s", "0.1", "--metrics-port", str(sink)),
        "monitor": keeprate("monitor", "--port", str(monitor), "--every", "10", "--verify-every", "0"),
        "alertmanager": (
            require("prometheus-alertmanager"),
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'alertmanager-data'}",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
        ),
        "prometheus": (
            require("prometheus"),
            f"--config.file={path}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            "--log.level=warn",
        ),
    }


def _quicken(path: Path, times: dict[str, str]) -> None:
    text = path.read_text("utf-8")
    for shipped, quicker in times.items():
        assert shipped in text
        text = text.replace(shipped, quicker)
    path.write_text(text, "utf-8")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: not in time"
        time.sleep(1)


def test_alerts_come_once_say_what_and_resolve(stack: Stack, story: Story) -> None:
    """First for the release in the history; then for the bad one and for what got worse; and for nothing else."""
    until(lambda: ("KeeprateReleaseWorse", "editor") in stack.names("firing"), "the alert on the demo's v4")
    judged = "count by (app) (keeprate_release_verdict)"
    until(lambda: {each["app"] for each in stack.query(judged)} == {"editor", "support", "repo-agent"}, "the rest")
    v4 = stack.release("v4")
    assert v4 is not None
    assert (v4.labels["severity"], v4.labels["predecessor"]) == ("critical", "v3")
    assert v4.annotations["summary"].startswith("v4 keeps ")
    assert "kept after 30 s" not in v4.annotations["description"]

    stack.emit(story.events(story.trouble_at, story.after_at, TROUBLE_RATE))
    until(lambda: ("KeeprateQualityDrift", "support") in stack.names("firing"), "the alert on support's version 12")
    until(lambda: stack.release("v5") is not None, "the alert on v5")
    _says_what_when_and_where(stack.release("v5"), story)

    stack.emit(story.events(story.after_at, int(time.time() * 1000), AFTER_RATE))
    until(lambda: ("KeeprateQualityDrift", "support") in stack.names("resolved"), "the end of support's")
    until(lambda: stack.release("v5", "resolved") is not None, "the end of v5's")
    fired = {(name, app) for name, app in stack.names("firing") if name != "KeeprateReleaseBetter"}
    assert fired >= {("KeeprateReleaseWorse", "editor"), ("KeeprateQualityDrift", "support")}
    assert {app for _, app in fired} == {"editor", "support"}
    times = Counter(each.fingerprint for each in stack.told("firing") if "Release" in each.labels["alertname"])
    assert set(times.values()) == {1}, times
    assert "2.2" not in {each.labels.get("prompt_version") for each in stack.told("firing")}


def _says_what_when_and_where(v5: ToldAlert | None, story: Story) -> None:
    assert v5 is not None
    assert {name: v5.labels[name] for name in ("severity", "category", "app", "prompt", "predecessor")} == {
        "severity": "critical",
        "category": "quality",
        "app": "editor",
        "prompt": EDITOR.prompt,
        "predecessor": "v3",
    }
    said = re.fullmatch(
        r"v5 (?:is accepted|keeps) (\d+) pp less than v3(?: after \d+ \w+)?, since its release on (.+) UTC",
        v5.annotations["summary"],
    )
    assert said is not None, v5.annotations
    assert int(said[1]) >= 10
    # The first session with it began some minutes later.
    began = datetime.strptime(f"2024 {said[2]}", "%Y %d %b %H:%M").replace(tzinfo=UTC)
    meant = datetime.fromtimestamp(story.trouble_at / 1000, UTC).replace(year=2024)
    assert timedelta() <= began - meant.replace(second=0, microsecond=0) < timedelta(hours=1)
    assert v5.annotations["runbook_url"].endswith("/runbook#keepratereleaseworse")
    assert f"/why?app=editor&release=editor%2Fprompt_version%2F{EDITOR.prompt}%2Fv5" in v5.annotations["page_url"]
