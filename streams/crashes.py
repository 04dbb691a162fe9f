"""Records at which the process ends: what no `except` sees, as a fault in a library's machine code or the kernel's
killer of processes that take too much memory.

What is being judged stands in a small file of the data directory, so that the next process knows where the last one
ended. A batch of many records is judged as a whole, and one that ended a process is judged record by record by the
next. A record at which processes ended three times, the first time in its batch, is set aside unjudged.

An ending between two batches (an error, a signal, a rebalance, a broker that is away) is no record's. One that was
killed from outside while it judged costs the next process a batch that is judged record by record, and no more.

**Invariant:** only one process has the file open.
"""

import fcntl
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from keeprate.streams.join.batches import Run
from keeprate.streams.join.feedback_join import SourceRecord
from keeprate.streams.state.partition import StateLockedError

logger = logging.getLogger(__name__)

FATAL_ENDINGS: Final = 3
"""At one record, the one in its batch included."""
_MAX_KEPT: Final = 100
"""Of each list below. What is older has been committed past for long."""
_FILE: Final = "judging"

_NONE: Final = '[], "counts": {}'

Span = tuple[str, int, int, int]
"""Topic, partition, first and last offset."""


@dataclass
class Endings:
    """What is known of them.

    judged: the records in hand. suspect: those that were in hand when a process ended. counts: how often one ended at
    a record, by its place.
    """

    judged: list[Span] = field(default_factory=list)
    suspect: list[Span] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """What the process before wrote, its own ending counted. Raises ValueError for anything else."""
        try:
            row = json.loads(text)
            judged, suspect = ([_span(span) for span in row[name]] for name in ("judged", "suspect"))
            known = cls(judged, suspect, {str(place): int(count) for place, count in row["counts"].items()})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not what a worker writes: {error!r}") from None
        known._count()
        return known

    def _count(self) -> None:
        in_hand, self.judged = self.judged, []
        if len(in_hand) == 1 and in_hand[0][2] == in_hand[0][3]:
            place = _place(*in_hand[0][:3])
            self.counts[place] = self.counts.get(place, int(self.is_suspect(in_hand))) + 1
        self.suspect = [*self.suspect, *in_hand][-_MAX_KEPT:]
        self.counts = dict(list(self.counts.items())[-_MAX_KEPT:])

    def text(self) -> str:
        """What `read` takes. It is written twice for each batch, and nearly always there is only the batch to say."""
        judged = ", ".join([f'["{topic}", {number}, {first}, {last}]' for topic, number, first, last in self.judged])
        rest = (
            f'{json.dumps(self.suspect)}, "counts": {json.dumps(self.counts)}' if self.suspect or self.counts else _NONE
        )
        return f'{{"judged": [{judged}], "suspect": {rest}}}'

    def is_suspect(self, spans: list[Span]) -> bool:
        """Whether some of these records were in hand when a process ended."""
        return any(_overlap(a, b) for a in self.suspect for b in spans)

    def clear(self, spans: list[Span]) -> None:
        """Know that all records up to the ends of these were judged, and the process goes on.

        Not of a record that was set aside: it is read again when the process is stopped before it commits.
        """
        ends = {span[:2]: span[3] for span in spans}
        self.suspect = [span for span in self.suspect if span[3] > ends.get(span[:2], -1) or self.is_condemned(span)]

    def is_condemned(self, span: Span) -> bool:
        """Whether it is one record at which processes ended so often that it is to be set aside unjudged."""
        topic, partition, first, last = span
        return first == last and self.counts.get(_place(topic, partition, first), 0) >= FATAL_ENDINGS


class CrashJournal:
    """The same in a file, for as long as this process lives: `judging.Crashes`."""

    def __init__(self, directory: Path | None) -> None:
        """directory: of the worker's data; None keeps nothing. Raises StateLockedError."""
        self._endings, self._file, self._length = Endings(), -1, 0
        self._batch: list[Span] = []
        if directory is None:
            return
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / _FILE
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise StateLockedError(f"{directory}: another worker has it; give each its own --data-dir") from None
        self._length = os.fstat(self._file).st_size
        if text := os.pread(self._file, self._length, 0):
            self._take_over(path, text)

    def _take_over(self, path: Path, text: bytes) -> None:
        try:
            self._endings = Endings.read(text.decode())
        except ValueError as error:
            logger.warning("%s is not read: %s", path, error)
            return
        for topic, partition, first, last in self._endings.suspect:
            logger.warning("a process ended while it judged %s/%s, %s to %s", topic, partition, first, last)
        self._write()

    def begin(self, runs: Mapping[str, Run], partition: int) -> bool:
        """Records are judged next. Returns whether to judge them one by one."""
        self._batch = spans_of(runs, partition)
        self.together()
        return bool(self._endings.suspect) and self._endings.is_suspect(self._batch)

    def judging(self, record: SourceRecord) -> None:
        """A record is judged next, alone."""
        self._endings.judged = [(record.topic, record.partition, record.offset, record.offset)]
        self._write()

    def together(self) -> None:
        """The records of the batch are worked on as a whole."""
        self._endings.judged = self._batch
        self._write()

    def is_condemned(self, record: SourceRecord) -> bool:
        """Whether processes ended at this record so often that it is to be set aside unjudged."""
        return self._endings.is_condemned((record.topic, record.partition, record.offset, record.offset))

    def end(self) -> None:
        """The records are judged, and what came of them is on its way."""
        self._endings.judged = []
        if self._endings.suspect:
            self._endings.clear(self._batch)
        self._write()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self) -> None:
        # A process that ends leaves what it wrote with the kernel, so nothing waits for the disk.
        if self._file >= 0:
            text = self._endings.text().encode()
            os.pwrite(self._file, text.ljust(self._length), 0)
            self._length = len(text)


def spans_of(runs: Mapping[str, Run], partition: int) -> list[Span]:
    """Where a batch's records are."""
    return [(topic, partition, run.records[0].offset, run.records[-1].offset) for topic, run in runs.items()]


def _overlap(a: Span, b: Span) -> bool:
    return a[:2] == b[:2] and a[2] <= b[3] and b[2] <= a[3]


def _span(row: Any) -> Span:
    topic, partition, first, last = row
    return str(topic), int(partition), int(first), int(last)


def _place(topic: str, partition: int, offset: int) -> str:
    return f"{topic}/{partition}/{offset}"
