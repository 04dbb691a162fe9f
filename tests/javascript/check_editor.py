"""The VS Code library in a real VS Code: a session of a week, with a clock that is turned, gives the expected checks.

`make editor` runs this: VS Code is 60 MB, and so it is not among the tests of `make test`, which has a double of it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.javascript.editing import Editor, open_editor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HEAD = "def add(a, b):\n    "
MINUTE, HOUR, DAY = 60, 3_600, 86_400


@pytest.fixture
def editor(require: Callable[[str], str], node: Path, tmp_path: Path) -> Iterator[Editor]:
    with open_editor(require("chromium"), node, tmp_path) as editor:
        yield editor


def said(check: dict[str, Any]) -> tuple[object, ...]:
    """When a check was made, and what it found."""
    found = check.get("reason") or (check["distance"], check["current_length"])
    return check.get("horizon_s") or check.get("moment"), found


def test_a_week_of_accepting_editing_undoing_renaming_and_reloading(editor: Editor, tmp_path: Path) -> None:
    """Each horizon and moment has its check, in the right place of the right file, also of a window that was gone."""
    editor.do("write", "add.py", HEAD)
    assert editor.do("show", "add.py") == HEAD
    assert editor.do("complete", "return ") == f"{HEAD}return a + b"
    editor.turn(30)

    editor.do("replace", "def", "import math\n\ndef")
    editor.do("replace", "a + b", "a - b")
    editor.turn(90)
    assert "a + b" in editor.do("run", "undo")
    editor.turn(3 * MINUTE)

    # Renamed while it is open, and edited before anything else is heard of it.
    assert editor.do("rename", "add.py", "sum.py")
    assert "a * b" in editor.do("replace", "a + b", "a * b")
    editor.do("git", "commit")
    assert "\n  return a * b" in editor.do("run", "editor.action.formatDocument")
    editor.turn(5 * MINUTE)
    editor.screenshot(tmp_path / "editor.png")

    # Closed, and changed by another program.
    editor.do("close")
    editor.do("write", "sum.py", "# moved\n" * 9 + editor.do("read", "sum.py"))
    editor.turn(5 * MINUTE)
    editor.do("git", "branch", "topic")
    editor.settle()

    # The window goes, and comes back after hours, of which it missed one look.
    editor.pass_by(2 * HOUR)
    editor.start()
    editor.turn(0)
    editor.turn(DAY)
    assert editor.do("remove", "sum.py")
    editor.turn(7 * DAY)

    checks = editor.events("retention_check")
    assert [said(check) for check in checks] == [
        (30, (0, 5)),
        (2 * MINUTE, (1, 5)),
        (5 * MINUTE, (0, 5)),
        ("commit", (1, 5)),
        (10 * MINUTE, (1, 5)),
        (15 * MINUTE, (1, 5)),
        ("branch_change", (1, 5)),
        (HOUR, (1, 5)),
        (DAY, (1, 5)),
        (7 * DAY, "file_deleted"),
    ]
    assert [bool(check.get("branch_changed")) for check in checks] == [False] * 6 + [True] * 4
    (accept,) = [event for event in editor.events("action") if event["action"] == "accept"]
    assert {(check["generation_id"], check["accept_seq"]) for check in checks} == {(accept["generation_id"], 1)}
    assert editor.do("followed") == []
    stats = editor.do("stats")
    assert (stats["lost"], stats["spooled"], stats["pending"]) == (0, 0, 0)
    arrived = [*checks, *editor.events("action"), *editor.events("generation")]
    assert stats["accepted"] == stats["delivered"] == len(arrived)
