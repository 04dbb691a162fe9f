"""The journal: retention checks that are still to come, in a file that outlives the process.

It holds accepted texts, so it is readable by the app's own user only, whatever the umask.
"""

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

log = logging.getLogger("keeprate.producers")

_COMPACT_LINES: Final = 2_000


@dataclass(frozen=True)
class Check:
    """One look at one accepted text.

    origin: generation_id, choice_index and what else each event of the generation repeats.
    original: the accepted text; None when it was not kept over a restart.
    accepted_at_ms: by the wall clock, for the case that another process makes the check.
    ref: the app's own word for where the text is; a restarted app needs it to find the text again.
    """

    origin: Mapping[str, Any]
    accept_seq: int
    original: str | None
    horizon_s: int
    accepted_at_ms: int
    ref: str | None = None


class Journal:
    """The checks that are to come, as lines of JSON: one when a check is planned, one when it is done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._pending: dict[int, str] = {}
        self._lines = 0

    def add(self, number: int, check: Check) -> None:
        """Remember a check."""
        line = json.dumps({"number": number, "check": asdict(check)})
        with self._lock:
            self._pending[number] = line
            self._write(line)

    def done(self, number: int) -> None:
        """Forget a check, and the file with the last one."""
        with self._lock:
            self._pending.pop(number, None)
            try:
                if not self._pending:
                    self._path.unlink(missing_ok=True)
                    self._lines = 0
                elif self._lines > _COMPACT_LINES and self._lines > 4 * len(self._pending):
                    self._rewrite()
                else:
                    self._write(json.dumps({"done": number}))
            except OSError as error:
                log.warning("a retention check may be made again after a restart: %s", error)

    @staticmethod
    def parse(journal: str) -> Iterator[Check]:
        """The checks of a file that were not done. A line that was cut short is left out."""
        planned: dict[int, Check] = {}
        for line in journal.splitlines():
            try:
                entry = json.loads(line)
                if "done" in entry:
                    planned.pop(entry["done"], None)
                else:
                    planned[int(entry["number"])] = _check(**entry["check"])
            except (ValueError, TypeError, KeyError) as error:
                log.warning("a line of retention checks to come cannot be read: %s", error)
        yield from planned.values()

    def _write(self, line: str) -> None:
        self._lines += 1
        try:
            with open(self._path, "a", encoding="utf-8", opener=_private) as file:
                file.write(line + "\n")
        except OSError as error:
            log.warning("a retention check will not survive a restart: %s", error)

    def _rewrite(self) -> None:
        scratch = self._path.with_suffix(".new")
        with open(scratch, "w", encoding="utf-8", opener=_private) as file:
            file.writelines(line + "\n" for line in self._pending.values())
        scratch.replace(self._path)
        self._lines = len(self._pending)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _check(origin: dict[str, Any], horizon_s: int, accepted_at_ms: int, **rest: Any) -> Check:
    return Check(origin=dict(origin), horizon_s=int(horizon_s), accepted_at_ms=int(accepted_at_ms), **rest)
