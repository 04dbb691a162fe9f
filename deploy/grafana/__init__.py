"""Grafana's dashboards as code: built here, kept as JSON, and provisioned from this folder.

    names        every metric that the dashboards ask for, from the catalogues of those who export it
    expressions  PromQL, which names only labels that a metric has
    statements   SQL for what Prometheus does not hold, from the measures of the one count
    clickhouse   a query of the data source for ClickHouse, which the builder's package does not know
    panels       the panels that the boards are made of
    boards/      a module for each dashboard
    writing      writes `dashboards/`; `python -m keeprate.deploy.grafana` does

Invariant: no module that Keeprate runs imports this one's; whoever only shows the dashboards needs no Python.
"""

from importlib.resources import files


def folder() -> str:
    """The directory with `dashboards/` and `provisioning/`, for Grafana."""
    return str(files("keeprate.deploy").joinpath("grafana"))
