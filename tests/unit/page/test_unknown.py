"""A selection that names what nobody sent says so, whatever page asks."""

from typing import Any

import pytest

from keeprate.deploy.page import happenings
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.selection import parse
from keeprate.sinks.facts import evidence
from keeprate.sinks.reading.hours import Known
from tests.pages import NOW


@pytest.mark.parametrize(
    ("asked", "unknown"),
    [
        ({}, []),
        ({"app": "editor"}, []),
        ({"app": "shop"}, ["app"]),
        ({"app": ["shop", "editor"]}, []),
        ({"app": "shop", "language": "klingon"}, ["app", "language"]),
        ({"user": "nobody"}, []),
    ],
)
def test_what_nobody_has_is_named(monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], unknown: list[str]) -> None:
    """Of several values one is enough, and people are too many to know by name."""
    monkeypatch.setattr(happenings, "_names", lambda _, name: frozenset({"editor"} if name == "app" else {"go"}))
    monkeypatch.setattr(evidence, "horizons", lambda *_: {"editor": [300]})
    monkeypatch.setattr(Reads, "summed", lambda *_: Known(0, 0))
    client: Any = None
    reads = Reads(client, NOW, Recent(lambda: 0.0))
    assert happenings.selected(reads, happenings.known(reads, parse(asked)))["unknown"] == unknown
