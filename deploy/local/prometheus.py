"""Prometheus as a part of the local stack: the shipped configuration and rules, with the targets that run here."""

from pathlib import Path

from keeprate.deploy.local.stack import Part, Ports, url
from keeprate.deploy.monitor.configure import write_configuration
from keeprate.deploy.settings import HOST

RETENTION = "15d"


def prometheus_part(program: str, directory: Path, ports: Ports) -> Part:
    """Write the configuration into `directory`, where its data lies too, and say how to run it."""
    jobs = {
        "keeprate-monitor": ports.monitor,
        "keeprate-worker": ports.worker_metrics,
        "keeprate-sink": ports.sink_metrics,
        "keeprate-collector": ports.collector_metrics,
    }
    targets = {job: f"{HOST}:{port}" for job, port in jobs.items()}
    config = write_configuration(directory, targets, url(ports.page, "/runbook"))
    options = {
        "config.file": config,
        "storage.tsdb.path": directory / "data",
        "storage.tsdb.retention.time": RETENTION,
        "web.listen-address": f"{HOST}:{ports.prometheus}",
    }
    argv = (program, *(f"--{name}={value}" for name, value in options.items()))
    return Part("prometheus", argv, url(ports.prometheus, "/-/ready"))
