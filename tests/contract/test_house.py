"""The tree as docs/architecture.md describes it: a line of code knows its room."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOP = ("producers", "streams", "sinks", "schemas", "deploy")
ROOMS = sorted({path.parent for top in TOP for path in (ROOT / top).rglob("*.py")})


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_folder_holds_about_a_dozen_modules_and_says_what_is_in_it(room: Path) -> None:
    """Someone new finds a behaviour from the folders' names and docstrings."""
    modules = [path for path in room.glob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    assert len(modules) <= 15, [path.name for path in modules]
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8")))


def test_the_code_map_names_folders_that_exist() -> None:
    """A folder that moves takes its row along."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `") and "/`" in line.split("|")[1]]
    named = [name.strip(" `") for row in rows for name in row.split(",")]
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).is_dir()] == []
