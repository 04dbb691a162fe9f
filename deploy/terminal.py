"""Text that apps and users wrote, as a terminal may show it.

A model's name or a header of a record can hold the sequences that a terminal obeys: they recolour, retitle, erase what
stands above, or make a line read as another one. They are shown as escapes instead, as Python writes them.
"""


def printable(text: str) -> str:
    """The text with everything but printable characters and ends of lines as escapes: controls, marks of direction."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )
