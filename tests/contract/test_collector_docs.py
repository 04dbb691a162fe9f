"""docs/collector.md says what the collector does: its options, metrics, paths, horizons and limits."""

import json
import re
import shlex
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from keeprate.deploy.commands.tree import app
from keeprate.producers.collector import metrics
from keeprate.producers.collector.gate import weight
from keeprate.producers.collector.gate.keys import PUBLISHED
from keeprate.producers.collector.openapi import document
from keeprate.producers.collector.otel import copilot, semconv, wire
from keeprate.producers.collector.settings import CollectorSettings
from keeprate.producers.imports import langfuse

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "collector.md").read_text("utf-8")


def test_every_option_is_described() -> None:
    """And no other is."""
    command = typer.main.get_command(app).commands["collector"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts}
    section = TEXT.partition("## Run it")[2]
    assert set(re.findall(r"`(--[a-z-]+)`", section)) == options


def test_every_option_of_a_key_is_described() -> None:
    """In the table of `keys create`, and no other is."""
    command = typer.main.get_command(app).commands["keys"].commands["create"]  # type: ignore[attr-defined]
    common = {"--label", "--data-dir", "--json"}
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")} - common
    table = TEXT.partition("| option of `keys create` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(--[a-z-]+)`", table)) == options


def test_every_metric_is_described() -> None:
    """By its name in Prometheus."""
    families = [family for family in metrics.REGISTRY.collect() if not family.name.endswith("_created")]
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert set(re.findall(r"`(keeprate_collector_[a-z_]+)", TEXT)) == names


def test_every_path_is_described() -> None:
    """As the OpenAPI document has them."""
    paths = json.loads(document(1))["paths"]
    described = set(re.findall(r"^\| `(GET|POST) (/\S+)`", TEXT, re.MULTILINE))
    assert described == {(method.upper(), path) for path, item in paths.items() for method in item}


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    """Limits and horizons."""
    assert f"more than {weight.MAX_ITEMS:,} items" in TEXT
    assert f"{weight.MAX_SPAN_EVENTS:,} events of spans, {wire.MAX_FIELDS:,} protobuf fields" in TEXT
    for name, (_, most) in weight.MAX_COUNTS.items():
        assert f"{most:,} {name}" in TEXT
    assert f"takes {PUBLISHED.events_per_address} events a minute" in TEXT
    assert f"events of {PUBLISHED.users_per_address} different" in TEXT
    limits = CollectorSettings("", Path())
    assert f"{limits.max_connections:,} connections, {limits.max_connections_per_address} of one address" in TEXT
    horizons = ", ".join(map(str, copilot.HORIZONS_S[:-1]))
    assert f"{horizons} or {copilot.HORIZONS_S[-1]} s" in " ".join(TEXT.split())


@pytest.mark.parametrize("name", ["provider", "prompt_name", "session", "external_id"])
def test_the_current_attribute_of_a_field_is_described(name: str) -> None:
    """The first of its row in the table of conventions."""
    assert f"`{semconv.NAMES[name][0]}`" in TEXT


def test_votes_of_langfuse_are_described() -> None:
    """The names that make a score a vote."""
    text = (DOCS / "importing.md").read_text("utf-8")
    assert all(name.replace("_", "-") in text for name in langfuse.VOTE_NAMES)
    assert all(kind in text for kind in langfuse.OPERATIONS)


def test_the_tests_of_the_opentelemetry_route_run_with_what_its_install_line_installs() -> None:
    """The same packages under the same upper bounds, so a call of an app that copies the line arrives."""
    section = TEXT.partition("## From OpenTelemetry")[2]
    command = section.partition("$ pip install ")[2].partition("    #")[0].replace("\\\n", " ")
    asked = {each.name: each.specifier for each in map(Requirement, shlex.split(command))}
    groups = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    needed = map(Requirement, groups["dev"])
    own = {each.name: each.specifier for each in needed if each.name.startswith("opentelemetry")}
    assert asked.keys() == own.keys()
    for name, specifier in asked.items():
        assert specifier.contains(version(name), prereleases=True), name
        assert _upper(specifier) == _upper(own[name])


def _upper(specifier: SpecifierSet) -> list[str]:
    return [str(each) for each in specifier if each.operator in ("<", "<=", "==")]
