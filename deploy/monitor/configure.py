"""Prometheus's and Alertmanager's configuration for other addresses than the default ones."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keeprate.deploy.monitor import configuration
from keeprate.deploy.settings import ALERTMANAGER_PORT, HOST, PAGE_URL, RUNBOOK_URL

_WEBHOOK: Final = re.compile(r"^    # (webhook_configs:)\n    # (  - url:) .*$", re.MULTILINE)

_TO_PAGE: Final = re.compile(rf"{re.escape(PAGE_URL)}/(?!runbook#)")


@dataclass(frozen=True)
class Addresses:
    """What the files name besides the targets.

    runbook_url, page_url: where alerts lead, as browsers reach it; the first without its anchor.
    alertmanager: `host:port`. webhook_url: what each of its receivers posts to; '' for none, which reaches nobody.
    """

    runbook_url: str = RUNBOOK_URL
    page_url: str = PAGE_URL
    alertmanager: str = f"{HOST}:{ALERTMANAGER_PORT}"
    webhook_url: str = ""


DEFAULT: Final = Addresses()


def write_configuration(directory: Path, targets: Mapping[str, str], addresses: Addresses = DEFAULT) -> Path:
    """Put the configurations of Prometheus and Alertmanager and the rules into a directory; returns the path of its
    `prometheus.yml`. An `alertmanager.yml` that is there stays: it has the addresses of its owner.

    targets: `host:port` by job. A job that is not named keeps its default target. Raises ValueError for an unknown job.
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
    alerting = directory / "alertmanager.yml"
    if not alerting.exists():
        shipped = (source / "alertmanager.yml").read_text("utf-8")
        alerting.write_text(with_webhook(shipped, addresses.webhook_url), "utf-8")
    rules = (source / "rules.yml").read_text("utf-8").replace(f"{RUNBOOK_URL}#", f"{addresses.runbook_url}#")
    (directory / "rules.yml").write_text(_TO_PAGE.sub(f"{addresses.page_url}/", rules), "utf-8")
    path = directory / "prometheus.yml"
    path.write_text(text.replace(f"{HOST}:{ALERTMANAGER_PORT}", addresses.alertmanager), "utf-8")
    return path


def with_webhook(alertmanager_yml: str, url: str) -> str:
    """Alertmanager's configuration with the webhook of every receiver filled in; as it is where there is no URL."""
    return _WEBHOOK.sub(rf"    \1\n    \2 {url}", alertmanager_yml) if url else alertmanager_yml
