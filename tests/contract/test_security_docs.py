"""docs/security.md says what the code does: its topics, its limits, its files, and its places in the text exist."""

import re
from pathlib import Path

import pytest
import typer

from keeprate.deploy.commands.tree import app
from keeprate.deploy.store import MEMORY_BYTES, QUERY_S
from keeprate.deploy.store.server import READS_AT_ONCE, WRITES_AT_ONCE
from keeprate.schemas.topics import ALL
from keeprate.sinks.store.local_store import TOKEN_FILE

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "security.md").read_text()
NUMBERS = {6: "six", 12: "twelve"}


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_the_rights_name_every_topic(topic: object) -> None:
    """Whoever writes ACLs from the table forgets none."""
    rights = TEXT.split("## Rights in Kafka")[1].split("## What an operator sets")[0]
    assert f"`{topic.name}`" in rights  # type: ignore[attr-defined]


def test_the_limits_are_those_of_the_code() -> None:
    """Seconds, memory, and how many statements run at once."""
    assert f"`--query-seconds` ({QUERY_S}) and `--query-memory` ({MEMORY_BYTES >> 30} GiB)" in TEXT
    assert (
        f"{NUMBERS[READS_AT_ONCE].capitalize()} statements that answer and {NUMBERS[WRITES_AT_ONCE]} that write" in TEXT
    )
    assert f"`{TOKEN_FILE}` in the store's directory" in TEXT


def test_every_link_leads_somewhere() -> None:
    """To a page that there is, and to a heading of it."""
    for page, heading in re.findall(r"\]\(([a-z]*\.md)?#?([a-z-]*)\)", TEXT):
        target = DOCS / (page or "security.md")
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        assert not heading or heading in {each.lower().replace(" ", "-").replace("'", "") for each in headings}


def test_every_command_and_option_exists() -> None:
    """What the page tells an operator to type can be typed."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(re.findall(r"keeprate ([a-z-]+)", TEXT)) <= set(commands)
