"""Prometheus as a part of the local stack: the shipped rules, with the targets that run here."""

import json
from pathlib import Path
from typing import Any

from keeprate.deploy.settings import HOST
from keeprate.deploy.stack import Part, Ports, url

RULES = Path(__file__).resolve().parent / "prometheus" / "rules.yml"
RETENTION = "15d"


def configuration(ports: Ports) -> dict[str, Any]:
    """Prometheus' settings: the jobs that the rules know, on this stack's ports, scraped as often as one watches."""
    jobs = {
        "keeprate-monitor": ports.monitor,
        "keeprate-worker": ports.worker_metrics,
        "keeprate-sink": ports.sink_metrics,
    }
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"{HOST}:{port}"]}]} for name, port in jobs.items()
        ],
    }


def prometheus_part(program: str, directory: Path, ports: Ports) -> Part:
    """Write the settings into `directory`, where its data lies too, and say how to run it."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "prometheus.yml"
    # JSON is YAML.
    config.write_text(json.dumps(configuration(ports), indent=2))
    options = {
        "config.file": config,
        "storage.tsdb.path": directory / "data",
        "storage.tsdb.retention.time": RETENTION,
        "web.listen-address": f"{HOST}:{ports.prometheus}",
    }
    argv = (program, *(f"--{name}={value}" for name, value in options.items()))
    return Part("prometheus", argv, url(ports.prometheus, "/-/ready"))
