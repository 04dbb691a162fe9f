"""Alerts on their way: the shipped configuration in a real Alertmanager, and `keeprate alerts`."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keeprate.deploy import monitor
from keeprate.deploy.alerting.alertmanager import Alertmanager
from keeprate.deploy.alerting.listener import Listener
from keeprate.deploy.commands.tree import app
from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.deploy.monitor.configure import Addresses, with_webhook, write_configuration
from keeprate.deploy.settings import RUNBOOK_URL
from tests.contract.test_prometheus import with_way

pytestmark = pytest.mark.prometheus
SHIPPED = (Path(monitor.configuration()) / "alertmanager.yml").read_text("utf-8")

Start = Callable[[str], Alertmanager]


@pytest.fixture
def start(require: Callable[[str], str], tmp_path: Path) -> Iterator[Start]:
    """Start an Alertmanager with a configuration, which waits a second instead of thirty."""
    with ExitStack() as running:

        def started(configuration: str) -> Alertmanager:
            port, path = free_port(), tmp_path / "alertmanager.yml"
            path.write_text(configuration.replace("group_wait: 30s", "group_wait: 1s"), "utf-8")
            argv = [require("prometheus-alertmanager"), f"--config.file={path}", f"--storage.path={tmp_path / 'data'}"]
            argv += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
            child = running.enter_context(ChildProcess("alertmanager", argv, tmp_path / "alertmanager.log"))
            child.wait_ready(lambda: _is_ready(port), 30)
            return Alertmanager(f"http://127.0.0.1:{port}")

        yield started


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def until(true: Callable[[], bool]) -> None:
    """Wait for it, thirty seconds at most."""
    deadline_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def with_webhooks(port: int) -> str:
    """The shipped configuration with its first way in each receiver, to a port of this machine."""
    text = with_webhook(SHIPPED, f"http://127.0.0.1:{port}/")
    assert text.count(f"    webhook_configs:\n      - url: http://127.0.0.1:{port}/\n") == 3
    return text


def run(alertmanager: Alertmanager, *arguments: str) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(app, ["alerts", "test", "--json", "--alertmanager", alertmanager.url, *arguments])
    return done.exit_code, json.loads(done.stdout)


@pytest.mark.parametrize(("severity", "receiver"), [("warning", "warnings"), ("critical", "pages")])
def test_an_alert_comes_to_who_listens(start: Start, severity: str, receiver: str) -> None:
    """This very alert, by the receiver of its severity, once an address is filled in."""
    port = free_port()
    alertmanager = start(with_webhooks(port))
    code, said = run(alertmanager, "--listen", str(port), "--label", f"severity={severity}")
    assert (code, said["arrived"], said["receivers"]) == (0, True, [receiver]), said
    assert f"by the receiver {receiver}" in str(said["why"])


def test_without_listening_the_alertmanager_itself_says_that_it_was_taken(start: Start) -> None:
    """By its counts before and after, with something else behind the webhook."""
    with Listener(0) as elsewhere:
        port = int(elsewhere.url.rsplit(":", 1)[1].strip("/"))
        code, said = run(start(with_webhooks(port)))
    assert (code, said["arrived"]) == (0, True), said
    assert said["told"] == [{"way": "webhook", "delivered": 1, "failed": 0}]


def test_a_receiver_that_is_away_is_named(start: Start) -> None:
    """Nobody listens at the address: requests fail, and the command with them."""
    code, said = run(start(with_webhooks(free_port())), "--wait", "4")
    assert (code, said["arrived"]) == (1, False)
    assert "Sending by webhook fails" in str(said["why"])


def test_a_receiver_without_an_address_reaches_nobody(start: Start) -> None:
    """As the configuration is shipped: said at once, and not after a wait."""
    code, said = run(start(SHIPPED))
    assert (code, said["arrived"], said["receivers"]) == (1, False, ["warnings"])
    assert "no way to reach anybody" in str(said["why"])


def test_a_silenced_alert_does_not_arrive(start: Start) -> None:
    """And the command says what keeps it back."""
    alertmanager = start(with_webhooks(free_port()))
    now = datetime.now(UTC)
    matcher = {"name": "alertname", "value": "KeeprateTest", "isRegex": False}
    silence = {"matchers": [matcher], "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
    body = json.dumps(silence | {"createdBy": "a test", "comment": "quiet"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{alertmanager.url}/api/v2/silences", body, headers)
    urllib.request.urlopen(request, timeout=5).close()
    code, said = run(alertmanager)
    assert code == 1
    assert "kept back by a silence" in str(said["why"])


def test_nothing_at_the_address_is_said_without_a_trace() -> None:
    """The usual first mistake."""
    done = CliRunner().invoke(app, ["alerts", "test", "--alertmanager", f"http://127.0.0.1:{free_port()}"])
    assert done.exit_code == 1
    assert "no Alertmanager answers" in str(done.exception or done.output) + done.output


def test_what_apps_named_is_no_markup_in_slack(start: Start) -> None:
    """A version that is called so tells nobody, links nowhere and turns no direction; the link to the runbook stays."""
    posted: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = with_way("warnings", "slack_configs")
        file = "api_url_file: /etc/alertmanager/slack-webhook-url"
        assert file in text
        alertmanager = start(text.replace(file, f"api_url: http://127.0.0.1:{server.server_port}/secret"))
        now = datetime.now(UTC)
        said = {
            "summary": "v5 <!channel> & <https://evil.example|v4>",
            "description": "https://evil.example \u202e\x1b",
        }
        alertmanager.post(DRIFT, said | {"runbook_url": RUNBOOK_URL}, now, now + timedelta(minutes=5))
        until(lambda: bool(posted))
        server.shutdown()
    (attachment,) = json.loads(posted[0])["attachments"]
    assert (
        attachment["text"].split()
        == (
            "*v5 &lt;!channel&gt; &amp; &lt;https: //evil.example|v4&gt;* https: //evil.example "
            f"<{RUNBOOK_URL}|what to do>"
        ).split()
    )


PIPELINE = {"category": "pipeline", "severity": "warning"}
DRIFT = {"alertname": "KeeprateQualityDrift", "category": "quality", "app": "editor", "prompt": "p", "metric": "a"}


@pytest.mark.parametrize(
    ("cause", "kept_back"),
    [
        ({"alertname": "KeepratePipelineLagging", **PIPELINE, "scope": "app", "app": "editor"}, True),
        ({"alertname": "KeepratePipelineLagging", **PIPELINE, "scope": "app", "app": "chat"}, False),
        ({"alertname": "KeeprateFeedbackMissing", **PIPELINE, "scope": "app", "app": "editor"}, True),
        ({"alertname": "KeeprateProducerDropping", **PIPELINE, "scope": "app", "app": "editor"}, True),
        ({"alertname": "KeeprateEventsRejected", **PIPELINE, "scope": "all"}, True),
        ({"alertname": "KeeprateConsumerStuck", **PIPELINE, "scope": "all"}, True),
        ({"alertname": "KeeprateExporterStale", **PIPELINE, "scope": "all"}, True),
        ({"alertname": "KeeprateRecordQuarantined", **PIPELINE, "scope": "none"}, False),
        ({"alertname": "KeeprateCollectorRefusing", **PIPELINE, "scope": "none"}, False),
        ({"alertname": "KeeprateReleaseWorse", "category": "quality", "app": "editor", "prompt": "p"}, True),
        ({"alertname": "KeeprateReleaseWorse", "category": "quality", "app": "editor", "prompt": "q"}, False),
    ],
    ids=lambda value: f"{value['alertname']} {value.get('app', '')}" if isinstance(value, dict) else str(value),
)
def test_a_cause_keeps_its_effect_back_and_nothing_else(start: Start, cause: dict[str, str], kept_back: bool) -> None:
    """A drift while data is incomplete is not told; a drift elsewhere is, and so is the cause."""
    alertmanager = start(SHIPPED)
    now = datetime.now(UTC)
    for labels in (cause, DRIFT):
        alertmanager.post(labels, {}, now, now + timedelta(minutes=5))
    # An alert is judged when its group is told of: after the second that groups wait here.
    until(lambda: len(alertmanager.alerts()) == 2)
    time.sleep(1.5)
    states = {alert.labels["alertname"]: alert.inhibited for alert in alertmanager.alerts()}
    assert states == {cause["alertname"]: False, "KeeprateQualityDrift": kept_back}


def test_one_cause_is_one_message(start: Start) -> None:
    """What fell of one prompt is one group, whatever metric; another app's is another."""
    alertmanager = start(SHIPPED)
    now = datetime.now(UTC)
    for labels in (
        DRIFT,
        DRIFT | {"metric": "retention_10m"},
        DRIFT | {"alertname": "KeeprateHarmDrift"},
        DRIFT | {"app": "chat"},
    ):
        alertmanager.post(labels, {}, now, now + timedelta(minutes=5))
    until(lambda: len(alertmanager.alerts()) == 4)
    with urllib.request.urlopen(f"{alertmanager.url}/api/v2/alerts/groups", timeout=5) as response:
        groups = json.load(response)
    assert sorted(len(group["alerts"]) for group in groups) == [1, 3]


def test_what_fires_is_listed_with_its_receivers(start: Start) -> None:
    """In words, and as JSON."""
    alertmanager = start(SHIPPED)
    now = datetime.now(UTC)
    alertmanager.post(DRIFT, {"summary": "it fell"}, now, now + timedelta(minutes=5))
    until(lambda: len(alertmanager.alerts()) == 1)
    arguments = ["alerts", "list", "--alertmanager", alertmanager.url]
    assert "KeeprateQualityDrift: it fell  (to warnings)" in CliRunner().invoke(app, arguments).stdout
    (found,) = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (found["labels"], found["receivers"]) == (DRIFT, ["warnings"])


def test_a_rule_that_fires_in_prometheus_comes_to_its_receiver(
    start: Start, require: Callable[[str], str], tmp_path: Path
) -> None:
    """The shipped files from end to end: nobody scrapes a monitor, so there are the Watchdog and nothing else yet."""
    with Listener(0) as elsewhere:
        alertmanager = start(with_webhooks(int(elsewhere.url.rsplit(":", 1)[1].strip("/"))))
        addresses = Addresses(alertmanager=alertmanager.url.removeprefix("http://"))
        path = write_configuration(tmp_path / "prometheus", {}, addresses)
        path.write_text(path.read_text("utf-8").replace("interval: 15s", "interval: 1s"), "utf-8")
        port = free_port()
        argv = [
            require("prometheus"),
            f"--config.file={path}",
            f"--storage.tsdb.path={tmp_path / 'data-of-prometheus'}",
        ]
        # What fires before Prometheus has found an Alertmanager is sent again, and not only after a minute.
        argv += [f"--web.listen-address=127.0.0.1:{port}", "--rules.alert.resend-delay=1s"]
        with ChildProcess("prometheus", argv, tmp_path / "prometheus.log") as child:
            child.wait_ready(lambda: _is_ready(port), 30)
            until(lambda: elsewhere.receiver_of("alertname", "Watchdog") == "watchdog")
            (watchdog,) = alertmanager.alerts({"alertname": "Watchdog"})
    assert watchdog.annotations["runbook_url"] == f"{RUNBOOK_URL}#watchdog"
