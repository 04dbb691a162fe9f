"""What Kubernetes would ask a pod for its health is answered by the process that the chart starts, once it can work."""

import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.sinks.tables.migrate import migrate
from tests.chart.rendering import LEAST, ROOT, pods, rendered

PROCESSES = ("worker", "sink", "monitor", "page", "collector")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
COMPOSED = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text("utf-8"))["services"]
DEFAULT_PORTS = {"monitor": "metrics", "page": "http", "collector": "http"}
"""Which of a container's ports a process has without being told: by `--port` it is told another here."""


def _here(name: str, container: dict[str, Any]) -> tuple[list[str], dict[str, int]]:
    """The container's arguments with ports that are free on this machine, and those by the names that probes go by."""
    ports = {port["name"]: free_port() for port in container["ports"]}
    by_number = {str(port["containerPort"]): str(ports[port["name"]]) for port in container["ports"]}
    arguments = [by_number.get(word, word) for word in container["args"]]
    if name in DEFAULT_PORTS:
        arguments += ["--port", str(ports[DEFAULT_PORTS[name]])]
    return arguments, ports


def _composed(name: str, container: dict[str, Any]) -> dict[str, Any]:
    """What compose asks of the same process for its health, as a probe of this container."""
    ((number, path),) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", COMPOSED[name]["healthcheck"]["test"][-1])
    (port,) = (port["name"] for port in container["ports"] if port["containerPort"] == int(number))
    return {"httpGet": {"port": port, "path": path}, "timeoutSeconds": 3}


def _answered(probe: dict[str, Any], ports: dict[str, int]) -> bool:
    asked = probe["httpGet"]
    headers = {each["name"]: each["value"] for each in asked.get("httpHeaders", ())}
    request = urllib.request.Request(f"http://127.0.0.1:{ports[asked['port']]}{asked['path']}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=probe.get("timeoutSeconds", 1)) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@pytest.mark.parametrize("name", PROCESSES)
def test_every_probe_is_answered(name: str, kafka: KafkaBroker, store: StoreProcess, tmp_path: Path) -> None:
    """By the process with the arguments of its container, and within the time that the first probe gives it; so is what
    compose asks."""
    create_topics(kafka.bootstrap)
    url = f"{store.url}/probes"
    migrate(url)
    (container,) = pods(rendered(LEAST))[f"x-{name}"]["containers"]
    arguments, ports = _here(name, container)
    assert CliRunner().invoke(app, ["keys", "create", "a", "--data-dir", str(tmp_path)]).exit_code == 0
    env = {"KEEPRATE_BROKERS": kafka.bootstrap, "KEEPRATE_STORE_URL": url, "KEEPRATE_DATA_DIR": str(tmp_path)}
    argv = [sys.executable, "-m", "keeprate.deploy.cli", *arguments]
    first = container["startupProbe"]
    with ChildProcess(name, argv, tmp_path / "log", {**os.environ, **env}) as process:
        process.wait_ready(lambda: _answered(first, ports), first["periodSeconds"] * first["failureThreshold"])
        others = {each: container[each] for each in PROBES} | {"compose": _composed(name, container)}
        for probe, asked in others.items():
            deadline_s = time.monotonic() + 30
            while not _answered(asked, ports):
                assert time.monotonic() < deadline_s, f"{probe}: {process.log_tail()}"
                time.sleep(0.2)
