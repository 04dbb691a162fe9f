"""The page about the SDK does what it says: its code runs, and its tables name what there is."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from keeprate.producers import DROP_REASONS, Keeprate
from keeprate.producers.sdk import client, lifetime
from keeprate.producers.testing import RecordingKeeprate
from keeprate.schemas.events import EVENT_TYPES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sdk.md").read_text("utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted(
    page for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) if BLOCK.search(page.read_text("utf-8"))
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is run after those before it, with the double in place of the client; no event of it is refused."""
    monkeypatch.setattr("keeprate.producers.Keeprate", RecordingKeeprate)
    names: dict[str, Any] = {"client": RecordingKeeprate()}
    text = page.read_text("utf-8")
    for block in BLOCK.finditer(text):
        # With the page's own line numbers in a traceback.
        lines_before = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(lines_before + block[1], str(page), "exec"), names)
    recorded: RecordingKeeprate = names["client"]
    # What is tracked is looked at, too: a reader that a page gives must be one.
    recorded.advance(600)
    assert {check.get("status") for check in recorded.of_type("retention_check")} <= {"present"}
    assert recorded.stats().lost == 0


def test_the_page_of_the_sdk_uses_every_type_of_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer finds an example of each."""
    monkeypatch.setattr("keeprate.producers.Keeprate", RecordingKeeprate)
    names: dict[str, Any] = {}
    for block in BLOCK.findall(PAGE):
        exec(block, names)
    assert {event["type"] for event in names["client"].events} == set(EVENT_TYPES)


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
