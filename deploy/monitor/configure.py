"""Prometheus's configuration for other ports than the default ones, and for a runbook at another address."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from keeprate.deploy.monitor import configuration
from keeprate.deploy.settings import RUNBOOK_URL


def write_configuration(directory: Path, targets: Mapping[str, str], runbook_url: str = RUNBOOK_URL) -> Path:
    """Put the configurations of Prometheus and Alertmanager and the rules into a directory; returns the path of its
    `prometheus.yml`. An `alertmanager.yml` that is there stays: it has the addresses of its owner.

    targets: `host:port` by job. A job that is not named keeps its default target. Raises ValueError for an unknown job.
    runbook_url: where alerts lead, without the anchor: where browsers reach /runbook of the page, or a copy of it.
    """
    source = Path(configuration())
    text = (source / "prometheus.yml").read_text("utf-8")
    for job, target in targets.items():
        text, found = re.subn(
            rf"(job_name: {re.escape(job)}\n.*?targets: \[)[^]]*", rf"\g<1>{target}", text, flags=re.S
        )
        if not found:
            raise ValueError(f"{job}: no such job in {source / 'prometheus.yml'}")
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "alertmanager.yml").exists():
        shutil.copyfile(source / "alertmanager.yml", directory / "alertmanager.yml")
    rules = (source / "rules.yml").read_text("utf-8").replace(f"{RUNBOOK_URL}#", f"{runbook_url}#")
    (directory / "rules.yml").write_text(rules, "utf-8")
    path = directory / "prometheus.yml"
    path.write_text(text, "utf-8")
    return path
