"""What fires now, as the Alertmanager has it: the same that `keeprate alerts list` prints, with ways into the page."""

import logging
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlencode, urlsplit

from keeprate.deploy.alerting.alertmanager import Alertmanager, AlertmanagerError, Firing
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.documents import DOCUMENTS
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.runbook import PARAMETERS, PATH, anchors
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.store.clickhouse import to_ms

AlertSource = Literal["none", "silent", "unwatched", "watched"]
SAID: Final[dict[AlertSource, str]] = {
    "none": "No alert source is configured, so what fires is not known here: tell the page where the Alertmanager is, "
    "by KEEPRATE_ALERTMANAGER_URL.",
    "silent": "The Alertmanager does not answer, so what fires is not known: does it run at KEEPRATE_ALERTMANAGER_URL?",
    "unwatched": "Not even the Watchdog fires, which always does: does Prometheus reach this Alertmanager?",
    "watched": "",
}
"""What is known of what fires, in words: nothing where all is well."""
KEPT_S: Final = 4.0
OWN: Final = "Keeprate"
"""How the names of Keeprate's rules begin. An Alertmanager may hold those of others, too."""
WATCHDOG: Final = "Watchdog"
_SEVERITIES: Final = ("critical", "warning", "info")
_PAGES: Final = frozenset(document.path for document in DOCUMENTS)
_log = logging.getLogger(__name__)


def alerts(reads: Reads, selection: Selection) -> Json:
    """What fires now of the chosen apps and of what is of no app, the gravest first; what is kept back comes last."""
    source, held = reads.fact("alerts", None, lambda: _held(reads.alertmanager), KEPT_S)
    apps = selection.only.get("app", [])
    found = [each for each in held if _is_seen(each, reads) and (not apps or _app(each) in ("", *apps))]
    found.sort(key=_rank)
    return {"source": source, "said": SAID[source], "rows": [_row(each) for each in found]}


def _held(alertmanager: Alertmanager | None) -> tuple[AlertSource, list[Firing]]:
    if alertmanager is None:
        return "none", []
    try:
        found = alertmanager.alerts()
    except AlertmanagerError as error:
        # It is named in the log: an address helps nobody who reads a page.
        _log.warning("what fires is not known: %s", error)
        return "silent", []
    watched = any(each.labels.get("alertname") == WATCHDOG for each in found)
    own = [each for each in found if each.labels.get("alertname", "").startswith(OWN)]
    # Where others of ours fire, Prometheus reaches it; groups of rules begin at different times.
    return "watched" if watched or own else "unwatched", own


def _app(alert: Firing) -> str:
    return alert.labels.get("app", "")


def _is_seen(alert: Firing, reads: Reads) -> bool:
    """What is of no app may tell of any: it is for those who may see all of them."""
    return reads.sight.may(_app(alert)) if _app(alert) else reads.sight.apps is None


def _rank(alert: Firing) -> tuple[bool, int, float]:
    severity = alert.labels.get("severity", "")
    place = _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
    return bool(_kept_back(alert)), place, -alert.since.timestamp()


def _kept_back(alert: Firing) -> str:
    return "silenced" if alert.silenced else "inhibited" if alert.inhibited else ""


def _row(alert: Firing) -> Json:
    name = alert.labels["alertname"]
    return {
        "name": name,
        "severity": alert.labels.get("severity", ""),
        "app": _app(alert),
        "summary": alert.annotations.get("summary") or name,
        "description": alert.annotations.get("description", ""),
        "since": to_ms(alert.since),
        "kept_back": _kept_back(alert),
        "page": _on_this_page(alert.annotations.get("page_url", "")),
        "runbook": _section(alert.annotations.get("runbook_url", ""), alert.labels),
    }


def _on_this_page(link: str) -> str:
    """Where a link of an alert leads on the page that shows it, whatever its address elsewhere; '' where to nothing."""
    parts = urlsplit(link)
    name = parts.path.rpartition("/")[2]
    anchor = f"#{parts.fragment}" if parts.fragment else ""
    return f"./{name}?{parts.query}{anchor}" if parts.query and name in _PAGES else ""


def _section(link: str, labels: Mapping[str, str]) -> str:
    """The section of the page's own runbook that a link means, with the names that its commands want; '' for none."""
    anchor = urlsplit(link).fragment
    named = zip(PARAMETERS, ("app", "prompt", "predecessor", "prompt_version"), strict=True)
    query = urlencode({name: labels[label] for name, label in named if labels.get(label)})
    return f".{PATH}{query and f'?{query}'}#{anchor}" if anchor in anchors() else ""
