"""A word stands for one thing in the whole tree, so that whoever reads it in one room knows it in the next."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.contract.test_house import ROOMS, ROOT

TWICE: Final = {
    "Generation": "the event, as apps and other languages know it, and the SDK's handle of one, as apps import it",
}
"""Names that stay twice, with the reason. Another one is no way to pass: one of the two is to be renamed."""
_ERASURE: Final = ("sinks/erasure/forget.py", "deploy/commands/upkeep/forget.py")


def _definitions(kind: type[ast.ClassDef] | type[ast.FunctionDef]) -> Iterator[tuple[str, str]]:
    """Each public name of a kind, and the file that defines it."""
    for path in sorted(path for room in ROOMS for path in room.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        nodes = tree.body if kind is ast.ClassDef else ast.walk(tree)
        for node in nodes:
            if isinstance(node, kind) and not node.name.startswith("_"):
                yield node.name, str(path.relative_to(ROOT))


def test_a_public_class_name_stands_for_one_thing() -> None:
    """Two of one name in two rooms are taken for each other: make one private, or say what it is."""
    places: dict[str, list[str]] = {}
    for name, file in _definitions(ast.ClassDef):
        places.setdefault(name, []).append(file)
    assert len(places) > 300
    assert {name: files for name, files in places.items() if len(files) > 1 and name not in TWICE} == {}
    assert [name for name in TWICE if len(places.get(name, [])) < 2] == []


OTHER_WORDS: Final = {
    "in favour": "up",
    "vote against": "vote down",
    "used as it was": "used untouched",
    "strategies of context": "context strategies",
    "strategy of context": "context strategy",
    "Open the generation": "Open the suggestion",
    '"Side by side': "group by group, where no method is meant",
    '"looked at"': "observed",
}
"""What the page does not say, with the word that docs/page.md has for it."""


def test_the_page_has_one_word_for_a_thing() -> None:
    """What is called two things is taken for two: in what people read on the page, and in the document on it."""
    page = ROOT / "deploy" / "page"
    files = [*page.glob("static/*.js"), *page.glob("bodies/*.html"), page / "definitions.py", ROOT / "docs" / "page.md"]
    assert len(files) > 40
    read = {path.name: path.read_text("utf-8") for path in files}
    assert {(name, word) for name, text in read.items() for word in OTHER_WORDS if word in text} == set()


def test_to_forget_is_to_erase_a_person() -> None:
    """A rebalance releases, a client detaches, an alarm is cleared: none of them forgets."""
    assert {file for name, file in _definitions(ast.FunctionDef) if name == "forget"} == set(_ERASURE)
