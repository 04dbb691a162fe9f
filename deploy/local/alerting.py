"""Prometheus and Alertmanager as parts of the local stack: the shipped configuration and rules, with the targets that
run here, and a receiver that shows in the terminal what was delivered."""

from pathlib import Path

from keeprate.deploy.local.stack import Part, Ports, keeprate, url
from keeprate.deploy.monitor.configure import Addresses, write_configuration
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
    alertmanager = f"{HOST}:{ports.alertmanager}"
    addresses = Addresses(url(ports.page, "/runbook"), url(ports.page), alertmanager, url(ports.alerts, "/"))
    config = write_configuration(directory, targets, addresses)
    options = {
        "config.file": config,
        "storage.tsdb.path": directory / "data",
        "storage.tsdb.retention.time": RETENTION,
        "web.listen-address": f"{HOST}:{ports.prometheus}",
    }
    argv = (program, *(f"--{name}={value}" for name, value in options.items()))
    return Part("prometheus", argv, url(ports.prometheus, "/-/ready"))


def alertmanager_parts(program: str, directory: Path, ports: Ports) -> list[Part]:
    """The Alertmanager, with the configuration that lies beside Prometheus's, and the receiver that it posts to."""
    options = {
        "config.file": directory / "alertmanager.yml",
        "storage.path": directory / "alertmanager-data",
        "web.listen-address": f"{HOST}:{ports.alertmanager}",
        # It has no others to gossip with.
        "cluster.listen-address": "",
    }
    argv = (program, *(f"--{name}={value}" for name, value in options.items()))
    return [
        Part("alerts", keeprate("alerts", "receive", "--port", str(ports.alerts)), foreground=True),
        Part("alertmanager", argv, url(ports.alertmanager, "/-/ready")),
    ]
