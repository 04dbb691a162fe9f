"""Prometheus's configuration: the rules do what they say, every alert has its tests and its runbook section, and the
documentation lists what there is."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from keeprate.deploy import monitor
from keeprate.deploy.horizons import USUAL_S
from keeprate.deploy.monitor.catalogue import METRICS
from keeprate.deploy.monitor.expected import metric_label
from keeprate.deploy.monitor.reference import metrics_table
from keeprate.deploy.releases.words import NAMES
from keeprate.deploy.settings import RUNBOOK_URL
from keeprate.producers import metrics as producer_metrics
from keeprate.producers.collector import metrics as collector_metrics
from keeprate.sinks.closed.batches import RETENTION
from keeprate.sinks.closed.watched import METRICS as WATCHED
from keeprate.sinks.landing import metrics as sink_metrics
from keeprate.streams import metrics as worker_metrics

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(monitor.configuration())
RULE_TESTS = Path(__file__).parent / "prometheus" / "rules.test.yml"


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((CONFIGURATION / "rules.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.prometheus
def test_promtool_accepts_configuration_and_rules(require: Callable[[str], str]) -> None:
    """As Prometheus itself would load them."""
    run(require("promtool"), "check", "config", str(CONFIGURATION / "prometheus.yml"))


@pytest.mark.prometheus
def test_alerts_fire_when_they_should_and_only_then(require: Callable[[str], str]) -> None:
    """The series of rules.test.yml, evaluated by promtool."""
    run(require("promtool"), "test", "rules", str(RULE_TESTS))


def test_every_alert_is_tested_firing_and_silent() -> None:
    """Except the Watchdog, which is never silent."""
    tests = yaml.safe_load(RULE_TESTS.read_text())["tests"]
    expectations = [each for test in tests for each in test.get("alert_rule_test", ())]
    firing = {each["alertname"] for each in expectations if each["exp_alerts"]}
    silent = {each["alertname"] for each in expectations if not each["exp_alerts"]}
    names = {rule["alert"] for rule in alerts()}
    assert firing == names
    assert silent == names - {"Watchdog"}


def test_every_alert_is_tested_to_its_end() -> None:
    """In one of its tests it fires, and later does so no more; except the Watchdog, which never ends."""
    ended = set()
    for test in yaml.safe_load(RULE_TESTS.read_text())["tests"]:
        firing: dict[str, int] = {}
        for each in test.get("alert_rule_test", ()):
            at, name = int(each["eval_time"].removesuffix("m")), each["alertname"]
            if each["exp_alerts"]:
                firing[name] = at
            elif at > firing.get(name, at):
                ended.add(name)
    assert ended == {rule["alert"] for rule in alerts()} - {"Watchdog"}


@pytest.mark.prometheus
def test_amtool_accepts_alertmanagers_configuration(require: Callable[[str], str]) -> None:
    """As Alertmanager itself would load it."""
    run(require("amtool"), "check-config", str(CONFIGURATION / "alertmanager.yml"))


WAYS = [
    (receiver, way)
    for receiver, block in re.findall(
        r"- name: (\w+)\n((?:    #.*\n)+)", (CONFIGURATION / "alertmanager.yml").read_text()
    )
    for way in re.findall(r"^    # (\w+_configs):$", block, re.MULTILINE)
]


def with_way(receiver: str, way: str) -> str:
    """alertmanager.yml without the # before one way of one receiver."""
    text = (CONFIGURATION / "alertmanager.yml").read_text("utf-8")
    before, head, rest = text.partition(f"- name: {receiver}\n")
    block = re.search(rf"^    # {way}:\n(?:    #   .*\n)+", rest, re.MULTILINE)
    assert block is not None
    return before + head + rest.replace(block[0], re.sub(r"^    # ", "    ", block[0], flags=re.MULTILINE), 1)


def test_there_is_an_example_of_every_usual_way() -> None:
    """Each receiver has one, and the four that most teams use are among them."""
    assert {receiver for receiver, _ in WAYS} == {"warnings", "pages", "watchdog"}
    assert {way for _, way in WAYS} == {"webhook_configs", "slack_configs", "email_configs", "pagerduty_configs"}


@pytest.mark.prometheus
@pytest.mark.parametrize(("receiver", "way"), WAYS)
def test_amtool_accepts_each_way_once_its_comment_is_taken_away(
    require: Callable[[str], str], tmp_path: Path, receiver: str, way: str
) -> None:
    """As whoever fills in an address will have it."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(with_way(receiver, way), "utf-8")
    receivers = {each["name"]: set(each) - {"name"} for each in yaml.safe_load(path.read_text("utf-8"))["receivers"]}
    assert receivers == {"warnings": set(), "pages": set(), "watchdog": set()} | {receiver: {way}}
    run(require("amtool"), "check-config", str(path))


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=Watchdog severity=none", "watchdog"),
        ("alertname=KeeprateConsumerStuck severity=critical category=pipeline", "pages"),
        ("alertname=KeeprateEventsRejected severity=warning category=pipeline", "warnings"),
    ],
)
def test_an_alert_reaches_its_receiver(require: Callable[[str], str], labels: str, receiver: str) -> None:
    """By its severity; the Watchdog by its name."""
    file = f"--config.file={CONFIGURATION / 'alertmanager.yml'}"
    assert run(require("amtool"), "config", "routes", "test", file, *labels.split()).strip() == receiver


def test_every_alert_says_what_and_where_to_read_on() -> None:
    """Severity, summary, description, and a section of the runbook that exists."""
    sections = {f"{RUNBOOK_URL}#{line[3:].lower()}" for line in _lines("docs/runbook.md") if line.startswith("## ")}
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
        assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK_URL}#{rule['alert'].lower()}"
    assert sections == {rule["annotations"]["runbook_url"] for rule in alerts()}


def test_a_text_of_an_alert_names_metrics_as_all_else_does() -> None:
    """No name of a label stands in it: drift is told in the detector's words, a release in those of its verdict."""
    said = re.sub(r"\s+", " ", (CONFIGURATION / "rules.yml").read_text("utf-8"))
    drift = {metric.name: metric.words for metric in WATCHED if not metric.name.endswith("_")}
    for names in (drift, NAMES):
        steps = [f'| reReplaceAll "^{name}$" "{words}"' for name, words in names.items() if name != words]
        assert " ".join(steps) in said


def test_an_alert_of_a_release_tells_of_the_horizon_that_the_page_shows() -> None:
    """Where it is worse there too, and else of another: so one number is not compared with another's."""
    assert f"metric='{metric_label(f'{RETENTION}{USUAL_S}')}'" in (CONFIGURATION / "rules.yml").read_text("utf-8")


def test_every_section_says_what_it_means_what_to_ask_and_what_to_do() -> None:
    """Whoever is woken up finds a reason, a query or a command to drill down by, and a remedy."""
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        name = section.splitlines()[0]
        if name != "Watchdog":
            said = re.search(r"\*\*Means:\*\*.+\*\*Look:\*\*(.+)\*\*Do:\*\*", section, re.DOTALL)
            assert said, name
            assert re.search(r"`[^`]*(keeprate[ _]|SELECT|up\{)", said[1]), name


def test_rules_use_metrics_that_exist() -> None:
    """A renamed metric would leave its alert silent for ever."""
    # The processes' own, where the monitor cannot know: of what was refused lately, and by whom.
    known = {metric.name for metric in (*METRICS, *sink_metrics.METRICS, *worker_metrics.METRICS)}
    known |= set(producer_metrics.METRICS) | {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in collector_metrics.REGISTRY.collect()
    }
    for rule in rules():
        names = set(re.findall(r"(?<![:\w])keeprate_\w+", rule["expr"]))
        assert {re.sub(r"_seconds_(bucket|count|sum)$", "_seconds", name) for name in names} <= known, rule


def test_a_name_means_the_same_wherever_it_is_exported() -> None:
    """A sum over jobs would else add totals to shares of them, and a join would not match."""
    said: dict[str, tuple[str, tuple[str, ...], str]] = {}
    for metric in (*METRICS, *sink_metrics.METRICS, *worker_metrics.METRICS):
        this = (metric.kind, metric.labels, metric.meaning)
        assert said.setdefault(metric.name, this) == this, metric.name


def test_what_the_rules_watch_is_scraped() -> None:
    """Every job that a rule names, and the apps, whose SDKs count in their own processes."""
    document = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text("utf-8"))
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in document["scrape_configs"]}
    named = {job for rule in rules() for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert named | {"apps"} <= set(jobs)
    assert [job for job, targets in jobs.items() if not targets] == ["apps"]


def test_names_follow_prometheus_and_appear_once() -> None:
    """One prefix, base units, `_total` for counters and for nothing else."""
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert metric.name.startswith("keeprate_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not metric.name.endswith("_ms")


def test_the_documentation_lists_every_metric_and_alert() -> None:
    """docs/observability.md holds the catalogue's own table."""
    text = (ROOT / "docs" / "observability.md").read_text()
    assert metrics_table() in text
    listed = re.findall(r"^\| \[(\w+)\]\(runbook\.md#(\w+)\) \| (\w+) \|", text, re.MULTILINE)
    assert listed == [(rule["alert"], rule["alert"].lower(), rule["labels"]["severity"]) for rule in alerts()]


def _lines(path: str) -> list[str]:
    return (ROOT / path).read_text().splitlines()
