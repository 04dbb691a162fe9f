"""Small repositories made with `git fast-import`: all of it is given, so they are the same each time."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

DAY_S = 86_400
START_S = 1_700_000_000

Files = Mapping[str, bytes | None]
"""Path to content; None deletes. What is not named stays as in the first parent."""


class Repository:
    """A bare repository. The branch `main` is the last commit that was made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: list[bytes] = []
        self._marks = 0

    def commit(
        self,
        day: float,
        files: Files,
        parents: Sequence[int] | None = None,
        author: str = "Ada <ada@example.org>",
        message: str = "change",
    ) -> int:
        """Add a commit, so many days after the start, on top of the last one or of the given ones; its mark."""
        if parents is None:
            parents = [self._marks] if self._marks else []
        self._marks += 1
        head = [f"commit refs/heads/main\nmark :{self._marks}\ncommitter {author} {_at(day)} +0000\n".encode()]
        links = [f"{'merge' if index else 'from'} :{mark}\n".encode() for index, mark in enumerate(parents)]
        self._stream += [*head, _data(message.encode()), *links]
        for path, content in files.items():
            if content is None:
                self._stream.append(f"D {path}\n".encode())
            else:
                self._stream += [f"M 100644 inline {path}\n".encode(), _data(content)]
        return self._marks

    def rename(self, day: float, old: str, new: str) -> int:
        """Add a commit that renames a file and does nothing else."""
        mark = self.commit(day, {})
        self._stream.append(f"R {old} {new}\n".encode())
        return mark

    def write(self) -> dict[int, str]:
        """Make it; the name of the commit of each mark."""
        git(self.path.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(self.path))
        marks = self.path.parent / f"{self.path.name}.marks"
        stream = b"".join([*self._stream, b"done\n"])
        git(self.path, "fast-import", "--quiet", "--done", f"--export-marks={marks}", stdin=stream)
        pairs = [line.split() for line in marks.read_text().splitlines()]
        return {int(mark[1:]): sha for mark, sha in pairs}


def _at(day: float) -> int:
    return int(START_S + day * DAY_S)


def at_ms(day: float) -> int:
    """A time of the repository in milliseconds since the epoch."""
    return _at(day) * 1000


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def git(directory: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git; its output."""
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], input=stdin, capture_output=True, check=True
    ).stdout


def blame(repository: Path, commit: str) -> list[tuple[str, str, int]]:
    """For each line of each text file of a commit: path, line, and the commit that `git blame` names."""
    lines = []
    for path in git(repository, "ls-tree", "-r", "--name-only", commit).decode().splitlines():
        output = git(repository, "blame", "--porcelain", "-s", commit, "--", path)
        number = 0
        for line in output.split(b"\n"):
            words = line.split(b" ")
            if not line.startswith(b"\t") and len(words[0]) == 40 and len(words) >= 3:
                number += 1
                lines.append((words[0].decode(), path, number))
    return lines
