"""The dashboards: what is committed is what is built, of metrics that exist, and as the documentation says."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric as Family
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.grafana import names
from keeprate.deploy.grafana.expressions import LabelError, share, total
from keeprate.deploy.grafana.writing import texts
from keeprate.deploy.monitor import catalogue
from keeprate.producers.collector import metrics as collector
from keeprate.producers.metrics import StatsCollector
from keeprate.producers.sdk.client import Keeprate
from tests.dashboards.interpolation import targets

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
TEXTS = texts()
EXPORTED = {metric.name for metrics in names.EXPORTED.values() for metric in metrics}


def panels(name: str) -> list[dict[str, Any]]:
    return list(json.loads(TEXTS[name])["panels"])


def named(text: str) -> set[str]:
    return {re.sub("_(bucket|count|sum)$", "", each) for each in re.findall(r"keeprate_\w+", text)}


def test_what_is_committed_is_what_is_built() -> None:
    """`make dashboards` changes nothing, and no file is left of a board that is gone."""
    assert {path.name: path.read_text("utf-8") for path in (FOLDER / "dashboards").iterdir()} == TEXTS


def test_dashboards_name_metrics_that_are_exported_and_all_of_them() -> None:
    """A metric that is renamed takes its panel along, and a new one gets a panel."""
    expressions = [target.expression for name, text in TEXTS.items() for target in targets(name, text)]
    assert named(" ".join(expressions)) - EXPORTED == set()
    assert EXPORTED - named(" ".join(expressions)) == set()


def test_a_label_that_a_metric_does_not_have_is_refused() -> None:
    """When the dashboards are built, not by a panel that stays empty."""
    with pytest.raises(LabelError, match="no label outcom"):
        share(catalogue.SUGGESTIONS, (), 'outcom="accepted"')
    with pytest.raises(LabelError, match="no label surface"):
        total(catalogue.GENERATIONS, ("surface",))


@pytest.mark.parametrize("metric", ["REQUESTS", "EVENTS", "REFUSED", "IGNORED", "SECONDS", "WAITING", "BODY_BYTES"])
def test_labels_of_the_collector_are_those_that_it_has(metric: str) -> None:
    """Its registry tells names, and labels only of series that are there: one is made and taken away."""
    labels = getattr(names, f"COLLECTOR_{metric}").labels
    _hold(getattr(collector, metric), labels)


@pytest.mark.parametrize("metric", ["BROKER_ERRORS", "CONNECTIONS", "CROWDED", "LIMITED"])
def test_labels_of_what_the_collector_guards_are_those_that_it_has(metric: str) -> None:
    """The same, of connections and limits."""
    _hold(getattr(collector, metric), getattr(names, f"COLLECTOR_{metric}").labels)


def _hold(metric: Any, labels: tuple[str, ...]) -> None:
    if labels:
        metric.labels(**dict.fromkeys(labels, "a test's"))
        metric.remove(*["a test's"] * len(labels))
    else:
        assert [set(sample.labels) for family in metric.collect() for sample in family.samples] == [set()]


def test_labels_of_the_sdk_are_those_that_it_has(tmp_path: Path) -> None:
    """As a client's accounts are exported."""
    with Keeprate("dashboards", spool_dir=tmp_path, brokers="127.0.0.1:1") as client:
        families: list[Family] = list(StatsCollector(client).collect())
    found = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    assert found == {metric.name: set(metric.labels) for metric in names.CLIENT}


@pytest.mark.parametrize("name", TEXTS)
def test_panels_have_a_place_of_their_own_and_say_what_they_mean(name: str) -> None:
    """No two overlap or share an id, and none is without a description."""
    shown = panels(name)
    ids = [panel["id"] for panel in shown if panel["type"] != "row"]
    assert len(ids) == len(set(ids))
    assert all(panel["description"] for panel in shown if panel["type"] != "row")
    for one, other in combinations([panel["gridPos"] for panel in shown], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in shown)


def test_data_sources_are_provisioned_under_the_names_that_dashboards_ask() -> None:
    """By type and uid."""
    sources = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "keeprate.yaml").read_text())["datasources"]
    asked = {(each["type"], each["uid"]) for each in _sources([json.loads(text) for text in TEXTS.values()])}
    assert asked == {(source["type"], source["uid"]) for source in sources}


def _sources(found: Any) -> list[dict[str, str]]:
    if isinstance(found, list):
        return [source for each in found for source in _sources(each)]
    if not isinstance(found, dict):
        return []
    own = [found["datasource"]] if "datasource" in found else []
    return own + [source for each in found.values() for source in _sources(each)]


def test_the_documentation_lists_every_dashboard() -> None:
    """By title and file, and says what Grafana is given."""
    text = (ROOT / "docs" / "observability.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| (Keeprate: [^|]+) \| `(\w+\.json)` \|", text, re.MULTILINE))
    assert listed == {json.loads(board)["title"]: name for name, board in TEXTS.items()}
    provisioning = "".join(path.read_text("utf-8") for path in (FOLDER / "provisioning").rglob("*.yaml"))
    for variable in re.findall(r"\$(KEEPRATE_\w+)", provisioning):
        assert re.search(rf"export .*{variable}=", text), variable


def test_the_command_says_where_they_lie() -> None:
    """As the documentation has Grafana started."""
    result = CliRunner().invoke(app, ["monitor", "--dashboards"])
    directory = Path(result.stdout.strip())
    assert sorted(path.name for path in (directory / "dashboards").iterdir()) == sorted(TEXTS)
    assert (directory / "provisioning" / "dashboards" / "keeprate.yaml").exists()
