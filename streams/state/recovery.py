"""A recovery while it goes on: how much of the changelog is read, how fast, and whether it stands still. Pure."""

from dataclasses import dataclass, field

from keeprate.streams.liveness import Liveness


@dataclass
class Recovery:
    """Judges one recovery after the other. `took_s` is how long the last one took, or has taken so far."""

    patience_s: float
    tell_every_s: float
    took_s: float = 0.0
    left: int = 0
    _began_at_s: float | None = None
    _told_at_s: float = 0.0
    _total: int = 0
    _liveness: Liveness = field(init=False)

    def __post_init__(self) -> None:
        self._liveness = Liveness(self.patience_s)

    def judge(self, now_s: float, going_on: bool, left: int) -> bool:
        """Take in whether a recovery is going on, and the records it has left. Returns whether it gets on."""
        if not going_on:
            self.left, self._began_at_s = 0, None
            return self._liveness.judge(now_s, 0, 0)
        if self._began_at_s is None:
            self._began_at_s, self._told_at_s, self._total = now_s, now_s - self.tell_every_s, 0
        # Kafka says how much there is to read only a moment after the beginning, and a rebalance may add to it.
        left = max(0, left)
        self._total = max(self._total, left)
        self.left, self.took_s = left, now_s - self._began_at_s
        return self._liveness.judge(now_s, -left, left)

    def tell(self, now_s: float) -> str:
        """What to say of the recovery; '' while there is nothing to say, or it was said a short while ago."""
        if self._began_at_s is None or not self._total or now_s - self._told_at_s < self.tell_every_s:
            return ""
        self._told_at_s = now_s
        read = self._total - self.left
        text = f"recovering: {read:,} of {self._total:,} records of the changelog read in {self.took_s:.0f} s"
        return f"{text}, about {self.left * self.took_s / read:.0f} s left" if read and self.left else text
