"""The chart's values and their schema, without helm, which takes minutes to build: `make chart` renders it.

What is held here: the schema takes the values that ship and refuses others, and templates use none that is not there.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.chart.rendering import ALL, CHART, ENGINES, LEAST, MEANINGLESS

VALUES: Final[dict[str, Any]] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA: Final[dict[str, Any]] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
BY_HELM: Final = {"global"}
"""Values that helm adds by itself."""


def _with(said: Mapping[str, str]) -> dict[str, Any]:
    """The shipped values with others, as helm sets them."""
    values = copy.deepcopy(VALUES)
    for path, text in said.items():
        *folders, name = path.split(".")
        at = values
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = yaml.safe_load(text)
    return values


def _faults(values: dict[str, Any]) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in Draft7Validator(SCHEMA).iter_errors(values)]


def test_values_that_can_be_meant_are_taken() -> None:
    """Those that ship, and those with which the chart is rendered."""
    Draft7Validator.check_schema(SCHEMA)
    assert [_faults(_with(said)) for said in ({}, LEAST, ALL, ENGINES)] == [[]] * 4


@pytest.mark.parametrize(("said", "named"), MEANINGLESS)
def test_a_value_that_cannot_be_meant_is_refused_by_the_schema(said: dict[str, str], named: str) -> None:
    """And its place is named."""
    (fault,) = _faults(_with(LEAST | said))
    assert named in fault


def _paths(values: Mapping[str, Any], known: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Of values and a schema, every place that only one of them has; what is free in the schema is not looked into."""
    properties: Mapping[str, Any] = known.get("properties", {})
    yield from (f"{before}{name}" for name in properties.keys() ^ values.keys())
    for name in properties.keys() & values.keys():
        if "properties" in properties[name]:
            yield from _paths(values[name], properties[name], f"{before}{name}.")


def test_every_value_has_its_place_in_the_schema_and_a_default() -> None:
    """A property without a default would be one that nobody finds."""
    assert set(_paths(VALUES, SCHEMA)) == BY_HELM


def test_templates_use_values_that_there_are() -> None:
    """Of another name, helm renders nothing and says nothing."""
    used = {
        path
        for template in sorted((CHART / "templates").iterdir())
        for path in re.findall(r"(?:\.Values|\$v)((?:\.\w+)+)", template.read_text("utf-8"))
    }
    assert len(used) > 50
    for path in used:
        at: Any = VALUES
        for name in path[1:].split("."):
            assert name in at, path
            at = at[name]
