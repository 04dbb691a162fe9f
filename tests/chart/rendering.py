"""The chart as helm renders it, and values to render it with."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "deploy" / "helm" / "keeprate"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keeprate" / "tools"
HELM: Final = shutil.which("helm") or str(CACHE / "helm")
LEAST: Final = {
    "kafka.brokers": "k-0:9093,k-1:9094",
    "store.url": "https://c/keeprate",
    "secrets.existing": "secret",
    "collector.keysSecret": "keys",
}
ALL: Final = LEAST | {
    "scaling.enabled": "true",
    "monitoring.enabled": "true",
    "monitoring.dashboards": "true",
    "monitoring.runbookUrl": "https://runbook",
    "secrets.keys.kafkaCa": "ca.pem",
    "secrets.keys.storeCa": "ca.pem",
}
ENGINES: Final = {
    "secrets.existing": "secret",
    "collector.keysSecret": "keys",
    "kafka.mode": "strimzi",
    "store.mode": "altinity",
}
"""Kafka and ClickHouse are made by their operators."""
MEANINGLESS: Final = (
    ({"worker.replicas": "many"}, "worker"),
    ({"kafka.sasl": "SCRAM"}, "kafka"),
    ({"kafka.brokers": "k"}, "kafka"),
    ({"store.url": "https://user:password@c/keeprate"}, "store"),
    ({"wroker.replicas": "1"}, "wroker"),
)
"""Values that the schema refuses, and what its refusal names."""
OPERATORS: Final = ("kafka.strimzi.io/v1", "clickhouse.altinity.com/v1")


def said(values: dict[str, str]) -> list[str]:
    """Values as helm's arguments."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value.replace(',', chr(92) + ',')}")]


def template(values: dict[str, str], *arguments: str, kubernetes: str = "1.31.0") -> subprocess.CompletedProcess[str]:
    """Render, or be refused."""
    argv = [HELM, "template", "x", str(CHART), "--kube-version", kubernetes, *said(values), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def rendered(values: dict[str, str], *arguments: str, kubernetes: str = "1.31.0") -> list[dict[str, Any]]:
    """The objects, of which each is one."""
    run = template(values, *arguments, kubernetes=kubernetes)
    assert run.returncode == 0, run.stderr
    return [each for each in yaml.safe_load_all(run.stdout) if each]


def with_engines(*operators: str) -> list[dict[str, Any]]:
    """The objects where a cluster knows these operators' resources."""
    return rendered(ENGINES, *(word for each in operators or OPERATORS for word in ("--api-versions", each)))


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each workload by its name, the pod that it makes."""
    kinds = ("Deployment", "StatefulSet", "Job")
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in objects if each["kind"] in kinds}
