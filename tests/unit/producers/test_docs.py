"""The page about the SDK does what it says: its code runs, and its tables name what there is."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from keeprate.producers import DROP_REASONS, Keeprate, client, lifetime
from keeprate.producers.testing import RecordingKeeprate

PAGE = (Path(__file__).parents[3] / "docs" / "sdk.md").read_text("utf-8")


def test_the_code_of_the_page_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is run after those before it, with the double in place of the client."""
    monkeypatch.setattr("keeprate.producers.Keeprate", RecordingKeeprate)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 9
    for block in blocks:
        exec(compile(block, "docs/sdk.md", "exec"), names)
    recorded = names["client"]
    assert {event["type"] for event in recorded.events} >= {
        "generation",
        "action",
        "vote",
        "flag",
        "edit",
        "evaluation",
    }
    assert recorded.stats().lost == 0


def test_the_table_of_settings_is_the_signature() -> None:
    """Every parameter is explained, and none that does not exist."""
    table = PAGE.partition("## Settings")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert named == [name for name in inspect.signature(Keeprate).parameters if name in named]
    assert set(named) == set(inspect.signature(Keeprate).parameters)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    """Sizes and times that the page states are the constants."""
    assert f"{client.MEMORY_BYTES >> 20} MiB wait in memory" in PAGE
    assert f"{client.SPOOL_BYTES >> 20} MiB; 0 for memory only" in PAGE
    assert f"reserves {2 * client.SEGMENT_BYTES >> 20} MiB" in PAGE
    assert f"up to {lifetime.EXIT_TIMEOUT_S:.0f} s" in PAGE
    for reason in re.findall(r'dropped\["(\w+)"\]', PAGE):
        assert reason in DROP_REASONS
