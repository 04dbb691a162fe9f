"""What fires, on the page: of whom, in which order, and where its links lead."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from keeprate.deploy import monitor
from keeprate.deploy.alerting.alertmanager import Alertmanager
from keeprate.deploy.page.access.viewer import Sight
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.parts.alerts import OWN, SAID, WATCHDOG, alerts
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.selection import parse
from tests.pages import NOW, Held, firing

RULES = yaml.safe_load((Path(monitor.configuration()) / "rules.yml").read_text("utf-8"))
NAMES = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}


DOG = firing(WATCHDOG, "none", "")


def asked(held: Alertmanager | None, sight: Sight = Sight(), **selection: str) -> Json:  # noqa: B008, it is frozen
    recent = Recent(lambda: 0.0)
    return alerts(Reads(cast(Any, None), NOW, recent, sight=sight, alertmanager=held), parse(selection))


def test_every_rule_is_known_by_its_name() -> None:
    """Else one that fires would not be shown: an Alertmanager holds alerts of others as well."""
    assert {name for name in NAMES if not name.startswith(OWN)} == {WATCHDOG}


@pytest.mark.parametrize(
    ("held", "source"),
    [(None, "none"), (Held(None), "silent"), (Held([]), "unwatched"), (Held([DOG]), "watched")],
)
def test_no_alert_is_never_taken_for_no_trouble(held: Alertmanager | None, source: str) -> None:
    """Where nothing is known of what fires, it says so, and names no address."""
    found = asked(held)
    assert found == {"source": source, "said": SAID[source], "rows": []}  # type: ignore[index]
    assert bool(found["said"]) == (source != "watched")
    assert "http://" not in found["said"]


def test_the_gravest_is_first_and_what_is_kept_back_last() -> None:
    """Of equals the newest; what is of another system is none of ours."""
    critical, warning, info = (firing(f"Keeprate{each}", each) for each in ("critical", "warning", "info"))
    newer = replace(critical, since=NOW + timedelta(hours=1), annotations={"summary": "newer"})
    silenced = replace(newer, silenced=True, annotations={"summary": "silenced"})
    found = asked(Held([DOG, silenced, info, critical, firing("NodeDown", app=""), warning, newer]))
    assert [(each["summary"], each["kept_back"]) for each in found["rows"]] == [
        ("newer", ""),
        ("Keepratecritical of editor", ""),
        ("Keepratewarning of editor", ""),
        ("Keeprateinfo of editor", ""),
        ("silenced", "silenced"),
    ]


def test_where_one_of_ours_fires_prometheus_reaches_the_alertmanager() -> None:
    """Also in the moments in which the Watchdog's group of rules has not begun."""
    assert asked(Held([firing("KeeprateA")]))["source"] == "watched"


def test_of_one_app_are_its_alerts_and_those_of_none() -> None:
    """The pipeline's are of no app, and are for those who may see every app."""
    held = Held([DOG, *(firing("KeeprateA", app=app) for app in ("", "editor", "support"))])
    assert [row["app"] for row in asked(held, app="editor")["rows"]] == ["", "editor"]
    assert [row["app"] for row in asked(held)["rows"]] == ["", "editor", "support"]
    assert [row["app"] for row in asked(held, Sight(("support",)))["rows"]] == ["support"]


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("http://127.0.0.1:8770/why?app=editor&release=a%2Fb", "./why?app=editor&release=a%2Fb"),
        ("https://keeprate.example.com/behind/a/path/?app=editor&period=6h", "./?app=editor&period=6h"),
        ("http://127.0.0.1:8770/?app=editor&period=6h#latency_p95", "./?app=editor&period=6h#latency_p95"),
        ("https://elsewhere.example.com/dashboards/7?orgId=1", ""),
        ("javascript:alert(1)?why", ""),
        ("", ""),
    ],
)
def test_a_link_leads_to_the_page_that_shows_it(link: str, page: str) -> None:
    """Whatever it is called where Prometheus runs, and nowhere else."""
    (row,) = asked(Held([DOG, firing("KeeprateA", page_url=link)]))["rows"]
    assert row["page"] == page


@pytest.mark.parametrize("name", sorted(NAMES - {WATCHDOG}))
def test_every_alert_has_its_section_on_the_page(name: str) -> None:
    """Also where others are led to a copy of the runbook; to nothing where there is no such section."""
    link = f"https://wiki.example.com/keeprate#{name.lower()}"
    (row,) = asked(Held([DOG, firing(name, runbook_url=link)]))["rows"]
    assert row["runbook"] == f"./runbook?app=editor#{name.lower()}"
    (row,) = asked(Held([DOG, firing(name, app="", runbook_url=link)]))["rows"]
    assert row["runbook"] == f"./runbook#{name.lower()}"
    (row,) = asked(Held([DOG, firing(name, runbook_url="https://wiki.example.com/other")]))["rows"]
    assert row["runbook"] == ""


def test_the_runbook_is_told_of_what_an_alert_is() -> None:
    """The app, the prompt and both versions of a release, which its commands want."""
    alert = firing("KeeprateReleaseWorse", runbook_url="http://x/runbook#keepratereleaseworse")
    labels = {**alert.labels, "prompt": "inline", "prompt_version": "v4", "predecessor": "v3", "verdict": "worse"}
    (row,) = asked(Held([DOG, replace(alert, labels=labels)]))["rows"]
    assert row["runbook"] == "./runbook?app=editor&prompt=inline&old=v3&new=v4#keepratereleaseworse"
