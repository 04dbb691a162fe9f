"""The demo's bad release, from a store's history through the real monitor to an alert in a real Prometheus."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import DAY_MS, World
from keeprate.deploy.local.process import ChildProcess, accepts, free_port
from keeprate.deploy.local.stack import keeprate
from keeprate.deploy.monitor.configure import write_configuration
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.reading import load_all

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow, pytest.mark.prometheus, pytest.mark.timeout(600)]

DAYS = 12
EVENTS = 30_000
DEADLINE_S = 400
APPS = {"editor", "support", "repo-agent"}
FIRING = 'ALERTS{alertname="KeeprateReleaseWorse", alertstate="firing"}'


@pytest.fixture(scope="module")
def store_url(store: StoreProcess) -> Iterator[str]:
    """A database with the demo's last twelve days, as a sink would have landed them."""
    url = f"{store.url.rstrip('/').removesuffix('/keeprate')}/bad_release"
    now = datetime.now(UTC)
    now_ms = int(now.timestamp() * 1000)
    start_ms = now_ms // DAY_MS * DAY_MS - DAYS * DAY_MS
    world = World.over(7, start_ms, DAYS)
    sent = simulate(world, start_ms, now_ms, EVENTS * 1000 / (now_ms - start_ms))
    migrate(url)
    with connect(url) as client:
        load_all(client, [each.event for each in sent if each.at < now_ms], now - timedelta(minutes=10))
    yield url
    with connect(url, "default") as client:
        client.command("DROP DATABASE bad_release")


@pytest.fixture(scope="module")
def prometheus(
    store_url: str, require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """Where Prometheus answers, which scrapes a monitor of that store with the rules that are shipped."""
    directory = tmp_path_factory.mktemp("bad-release")
    port, monitor_port = free_port(), free_port()
    # No broker: what the consumers lag is not known then, and the watermark alone decides what closes.
    options = ("--port", str(monitor_port), "--every", "0.5", "--verify-every", "0", "--store", store_url)
    monitor = keeprate("monitor", *options, "--brokers", f"127.0.0.1:{free_port()}")
    configuration = write_configuration(directory, {"keeprate-monitor": f"127.0.0.1:{monitor_port}"})
    configuration.write_text(configuration.read_text().replace("interval: 15s", "interval: 2s"))
    argv = [require("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'data'}"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (
        ChildProcess("the monitor", monitor, directory / "monitor.log") as first,
        ChildProcess("prometheus", argv, directory / "prometheus.log") as second,
    ):
        first.wait_ready(lambda: accepts(monitor_port), DEADLINE_S)
        second.wait_ready(lambda: accepts(port), DEADLINE_S)
        yield port


def api(port: int, path: str) -> Any:
    with urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=10) as answer:
        return json.load(answer)["data"]


def query(port: int, expression: str) -> list[dict[str, str]]:
    return [each["metric"] for each in api(port, f"query?query={quote(expression)}")["result"]]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: not in time"
        time.sleep(1)


def test_a_fresh_monitor_alarms_on_the_bad_release_and_on_no_other(prometheus: int) -> None:
    """v4 keeps less than v3: that fires, critical, and says so; what is judged beside it does not."""
    until(lambda: any(each["app"] == "editor" for each in query(prometheus, FIRING)), "the alarm")
    judged = "count by (app) (keeprate_release_verdict)"
    until(
        lambda: {each["app"] for each in query(prometheus, judged)} == {"editor", "support", "repo-agent"}, "the rest"
    )
    # What would fire on them has had the time to.
    time.sleep(6)
    firing = query(prometheus, FIRING)
    assert {(each["app"], each["prompt_version"]) for each in firing} == {("editor", "v4")}
    severities = {each["metric"]: each["severity"] for each in firing}
    assert severities["retention_10m"] == "critical"
    assert "retention_30s" not in severities
    (summary,) = (
        each["annotations"]["summary"]
        for each in api(prometheus, "alerts")["alerts"]
        if each["labels"]["alertname"] == "KeeprateReleaseWorse" and each["labels"]["metric"] == "retention_10m"
    )
    assert summary.startswith("v4 keeps ")
    assert " pp less than v3 after 10 min, since its release on " in summary
