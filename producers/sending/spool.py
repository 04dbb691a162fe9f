"""The spool: one directory per process, in which the backlog's segments outlive the process.

    <home>/<producer_id>/lock           held while the process lives
                         ledger         how many of its events are in memory only
                         00000001.seg   records, oldest first
                         checks.jsonl   retention checks that are still to come

A directory whose lock can be taken is an orphan: its process is gone, and whoever takes the lock adopts what is left.

Invariant: a segment's file goes only when each of its records is acknowledged, or dropped and counted.
Invariant: nothing here runs on an emitter's thread, but for the opening of a client.
"""

import contextlib
import fcntl
import logging
import mmap
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keeprate.producers.sending.segments import Segment

log = logging.getLogger("keeprate.producers")

CHECKS: Final = "checks.jsonl"
_COUNT: Final = struct.Struct("<Q")
_PRIVATE: Final = 0o700


def default_home() -> Path:
    """Where spools are when nobody says otherwise: KEEPRATE_SPOOL_DIR, or the user's state directory."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(os.environ.get("KEEPRATE_SPOOL_DIR") or Path(state) / "keeprate" / "spool")


class Ledger:
    """A number that survives a kill: how many events of the process are in memory only."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _reserve(descriptor, _COUNT.size)
            self._buffer = mmap.mmap(descriptor, _COUNT.size)
        finally:
            os.close(descriptor)

    @property
    def count(self) -> int:
        """The number now."""
        return int(_COUNT.unpack_from(self._buffer)[0])

    @count.setter
    def count(self, number: int) -> None:
        _COUNT.pack_into(self._buffer, 0, number)


@dataclass(frozen=True)
class Orphan:
    """What a process left behind.

    lost: events that it held in memory only.
    checks: its file of retention checks, if it had any to come.
    """

    segments: list[Segment]
    lost: int
    checks: str


class Spool:
    """This process's directory, and those that it adopted. Opening it raises OSError when the disk refuses."""

    def __init__(self, home: Path, name: str, segment_bytes: int) -> None:
        self._home = home
        self._segment_bytes = segment_bytes
        self._locks: dict[Path, int] = {}
        self._number = 0
        _make_private(home)
        # Locked before it has its name, so that no other process can take it for an orphan.
        hidden = home / f".{name}"
        hidden.mkdir(mode=_PRIVATE)
        descriptor = _lock(hidden)
        assert descriptor is not None
        self.directory = home / name
        hidden.rename(self.directory)
        self._locks[self.directory] = descriptor
        self.ledger = Ledger(self.directory / "ledger")

    def make(self) -> Segment:
        """A new segment, its whole size reserved on the disk. Raises OSError when there is no room."""
        self._number += 1
        path = self.directory / f"{self._number:08d}.seg"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # A page that the disk could not back would end the process with SIGBUS on the first write to it.
            _reserve(descriptor, self._segment_bytes)
            return Segment(mmap.mmap(descriptor, self._segment_bytes), path)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)

    def keep(self, segment: Segment) -> Segment:
        """A copy in a file of what is not settled in a segment in memory. Raises OSError when there is no room."""
        copy = self.make()
        segment.rewind()
        while (record := segment.read()) is not None:
            copy.append(record.topic, record.key, record.value)
        return copy

    def discard(self, segment: Segment) -> None:
        """Delete a segment, and the directory of a former process with its last one."""
        segment.close()
        if segment.path is None:
            return
        segment.path.unlink(missing_ok=True)
        directory = segment.path.parent
        if directory != self.directory and not any(directory.glob("*.seg")):
            self._remove(directory)

    def has_neighbours(self) -> bool:
        """Whether there are directories of other processes, living or dead."""
        return any(directory not in self._locks for directory in self._home.iterdir())

    def adopt(self) -> Iterator[Orphan]:
        """Take over the directories whose processes are gone. Their checks become the caller's to keep."""
        for directory in sorted(self._home.iterdir()):
            if directory.name.startswith(".") or directory in self._locks:
                continue
            descriptor = _lock(directory)
            if descriptor is None:
                continue
            self._locks[directory] = descriptor
            orphan = _read_orphan(directory)
            yield orphan
            # Only now, when the caller has put the checks and the count elsewhere: a crash before repeats, not loses.
            (directory / CHECKS).unlink(missing_ok=True)
            Ledger(directory / "ledger").count = 0
            if not orphan.segments:
                self._remove(directory)

    def close(self, left: list[Segment]) -> int:
        """Give up the directory, leaving the segments that hold something; how many records they hold."""
        kept = 0
        for segment in left:
            if segment.path is None or not segment.waiting:
                self.discard(segment)
                continue
            kept += segment.waiting
            segment.trim()
        if not any(self.directory.glob("*.seg")) and not (self.directory / CHECKS).exists():
            self._remove(self.directory)
        for descriptor in self._locks.values():
            os.close(descriptor)
        self._locks.clear()
        return kept

    def detach(self) -> None:
        """In a forked child: let the parent's directory alone. Closing a copy of the lock does not release it."""
        for descriptor in self._locks.values():
            os.close(descriptor)
        self._locks.clear()

    def _remove(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        if (descriptor := self._locks.pop(directory, None)) is not None:
            os.close(descriptor)


def _make_private(directory: Path) -> None:
    """Make the directory and those above it that are missing, for their user alone."""
    if not directory.parent.exists():
        _make_private(directory.parent)
    directory.mkdir(exist_ok=True, mode=_PRIVATE)


def _reserve(descriptor: int, size_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size_bytes)
    elif os.fstat(descriptor).st_size < size_bytes:
        os.write(descriptor, bytes(size_bytes))


def _lock(directory: Path) -> int | None:
    """The descriptor of the directory's lock, or None when another holds it or it has just gone."""
    path = directory / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it before may have deleted the directory meanwhile.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    os.close(descriptor)
    return None


def _read_orphan(directory: Path) -> Orphan:
    segments = []
    for path in sorted(directory.glob("*.seg")):
        segment = _recover(path)
        if segment.waiting:
            segments.append(segment)
        else:
            segment.close()
            path.unlink()
    path = directory / CHECKS
    checks = path.read_text("utf-8", "replace") if path.exists() else ""
    return Orphan(segments, Ledger(directory / "ledger").count, checks)


def _recover(path: Path) -> Segment:
    with path.open("r+b") as file, contextlib.suppress(ValueError):
        segment = Segment(mmap.mmap(file.fileno(), 0), path)
        if torn_bytes := segment.recover():
            log.warning("%s ends in %d bytes of an event that was cut short", path, torn_bytes)
        return segment
    # A file of no bytes cannot be mapped, and holds nothing.
    return Segment(mmap.mmap(-1, 1), path)
