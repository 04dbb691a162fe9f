"""What commands print: text that apps and users wrote, as a terminal may show it, and lists for machines.

A model's name or a header of a record can hold the sequences that a terminal obeys: they recolour, retitle, erase what
stands above, or make a line read as another one. They are shown as escapes instead, as Python writes them.
"""

import json
from collections.abc import Iterable, Iterator


def printable(text: str) -> str:
    """The text with everything but printable characters and ends of lines as escapes: controls, marks of direction."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


def json_array(items: Iterable[object]) -> Iterator[str]:
    """The lines of a JSON array, an item on each, as they come: `[]` where there is none.

    Controls are escapes here, too; what JSON knows no form of, as times, is text.
    """
    line = "["
    for number, item in enumerate(items):
        if number:
            yield f"{line},"
            line = ""
        line += json.dumps(item, default=str)
    yield f"{line}]"
