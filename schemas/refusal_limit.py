"""A halt before everything becomes a dead letter.

A dead letter here and there is an app's mistake. When nearly all records are refused, a deploy went wrong, of an app or
of Keeprate, and millions of dead letters would only have to be replayed. So the stage that refuses them stops, with
nothing committed, until somebody has looked.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW_RECORDS: Final = 10_000
"""Judged are the last so many records of a process, in whole batches."""
FEWEST_RECORDS: Final = 1_000
"""Fewer say nothing: a test app that sends nonsense all day must not stop the others."""
DEFAULT_SHARE: Final = 0.9


class TooManyRefusedError(Exception):
    """Nearly all that came lately was refused: the process stops, and nothing of the batch at hand is written."""

    def __init__(self, refused: int, records: int, why: str) -> None:
        super().__init__(
            f"{refused:,} of the last {records:,} records were refused, the last one with: {why}. Stopped before more "
            "of them become dead letters: look at them with keeprate dead-letters list, and mend what sends or what "
            "reads them. --max-refused-share 1 lets all of them through to the dead letters"
        )


@dataclass
class RefusalLimit:
    """Judges batch after batch. share: of the last records, the part that may be refused; 1 lets everything through."""

    share: float = DEFAULT_SHARE
    _batches: deque[tuple[int, int]] = field(default_factory=deque)
    _records: int = 0
    _refused: int = 0

    def judge(self, records: int, refused: int, why: str) -> None:
        """Take in a batch before its dead letters are written. Raises TooManyRefusedError, and then forgets the batch.

        why: what is wrong with one of the refused.
        """
        while self._batches and self._records - self._batches[0][0] + records >= WINDOW_RECORDS:
            self._add(self._batches.popleft(), -1)
        all_records, all_refused = self._records + records, self._refused + refused
        if refused and all_records >= FEWEST_RECORDS and all_refused > self.share * all_records:
            raise TooManyRefusedError(all_refused, all_records, why)
        self._batches.append((records, refused))
        self._add((records, refused), 1)

    def _add(self, batch: tuple[int, int], sign: int) -> None:
        self._records += sign * batch[0]
        self._refused += sign * batch[1]
