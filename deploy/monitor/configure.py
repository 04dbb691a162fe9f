"""Prometheus's configuration for other ports than the default ones."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from keeprate.deploy.monitor import configuration


def write_configuration(directory: Path, targets: Mapping[str, str]) -> Path:
    """Put the configuration and the rules into a directory; returns the path of its `prometheus.yml`.

    targets: `host:port` by job. A job that is not named keeps its default target. Raises ValueError for an unknown job.
    """
    source = Path(configuration())
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "rules.yml", directory / "rules.yml")
    text = (source / "prometheus.yml").read_text("utf-8")
    for job, target in targets.items():
        text, found = re.subn(
            rf"(job_name: {re.escape(job)}\n.*?targets: \[)[^]]*", rf"\g<1>{target}", text, flags=re.S
        )
        if not found:
            raise ValueError(f"{job}: no such job in {source / 'prometheus.yml'}")
    path = directory / "prometheus.yml"
    path.write_text(text, "utf-8")
    return path
