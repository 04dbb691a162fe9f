"""Reading patches: what `git diff-tree --stdin --unified=0` writes, as changes of files.

The content of a line is never kept, only its length. A patch says how many lines a hunk has, so a line of a file that
looks like a header is not taken for one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

HEADER = b"\x00"
"""What git is told to write before each comparison, followed by the name of its commit."""
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True)
class Hunk:
    """Some lines replaced by others.

    start: how many of the old lines come before it.
    added: the length of each new line.
    """

    start: int
    removed: int
    added: list[int]


@dataclass
class FileChange:
    """What became of one file. Paths are as git quotes them: names to compare, not to open.

    old, new: None when the file did not exist before, or does not after.
    binary: git did not compare it line by line.
    """

    old: str | None
    new: str | None
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)


def read_comparisons(lines: Iterator[bytes]) -> Iterator[list[FileChange]]:
    """The changes of each comparison, in the order in which git was asked for them."""
    changes: list[FileChange] | None = None
    for line in lines:
        if line.startswith(HEADER):
            if changes is not None:
                yield changes
            changes = []
        elif changes is None:
            raise ValueError(f"expected a header, got {line[:80]!r}")
        elif line.startswith(b"diff --git "):
            changes.append(_change(line))
        elif line.startswith(b"@@ "):
            changes[-1].hunks.append(_hunk(line, lines))
        elif changes:
            _note(changes[-1], line)
    if changes is not None:
        yield changes


def _change(line: bytes) -> FileChange:
    # Without a rename both names are the same, so the middle is known though names may hold spaces.
    pair = line[len(b"diff --git ") :].rstrip(b"\n")
    path = _name(pair[len(pair) // 2 + 1 :], strip=2)
    return FileChange(path, path)


def _name(raw: bytes, strip: int = 0) -> str:
    """A path without its prefix of `strip` characters; the quotes of a quoted one stay."""
    text = raw.rstrip(b"\n").decode("utf-8", "surrogateescape")
    return f'"{text[1 + strip :]}' if text.startswith('"') else text[strip:]


def _note(change: FileChange, line: bytes) -> None:
    if line.startswith(b"new file"):
        change.old = None
    elif line.startswith(b"deleted file"):
        change.new = None
    elif line.startswith(b"rename from "):
        change.old = _name(line[len(b"rename from ") :])
    elif line.startswith(b"rename to "):
        change.new = _name(line[len(b"rename to ") :])
    elif line.startswith(b"Binary files "):
        change.binary = True


def _hunk(line: bytes, lines: Iterator[bytes]) -> Hunk:
    match = _HUNK.match(line)
    if match is None:
        raise ValueError(f"expected a hunk, got {line[:80]!r}")
    start, removed, _, added = (1 if number is None else int(number) for number in match.groups())
    added_units: list[int] = []
    left = removed + added
    while left:
        content = next(lines, b"")
        if not content:
            raise ValueError("the patch ends within a hunk")
        if content.startswith(b"\\"):
            continue
        left -= 1
        if content.startswith(b"+"):
            added_units.append(line_units(content[1:]))
    # A hunk without old lines names the line that it follows.
    return Hunk(start if removed == 0 else start - 1, removed, added_units)


def line_units(line: bytes) -> int:
    """UTF-16 code units of a line with its end, CRLF as LF. What is not UTF-8 counts a unit a byte."""
    line = line.rstrip(b"\n").removesuffix(b"\r")
    if line.isascii():
        return len(line) + 1
    try:
        return len(line.decode().encode("utf-16-le")) // 2 + 1
    except UnicodeDecodeError:
        return len(line) + 1
