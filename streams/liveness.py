"""Whether a worker gets on: a pure judgement of what it has done against what there is to do."""

from dataclasses import dataclass


@dataclass
class Liveness:
    """Judges from time to time. A worker is stuck when there is lag and nothing was done for `patience_s`.

    An idle worker is not stuck, and neither is one that waits for the broker's partitions: it has no lag to work on.
    """

    patience_s: float
    _done: int = -1
    _progressed_at_s: float | None = None

    def judge(self, now_s: float, done: int, lag: int) -> bool:
        """Take in how much was done so far and how much there is to do. Returns whether the worker gets on."""
        if self._progressed_at_s is None or done != self._done or lag <= 0:
            self._done, self._progressed_at_s = done, now_s
        return now_s - self._progressed_at_s < self.patience_s

    def idle_s(self, now_s: float) -> float:
        """For how long there was work and none was done."""
        return 0.0 if self._progressed_at_s is None else now_s - self._progressed_at_s
