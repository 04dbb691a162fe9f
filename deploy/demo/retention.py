"""What becomes of an accepted text: when it is changed, when it is taken out, and what each check finds."""

from dataclasses import dataclass
from random import Random
from typing import Any

from keeprate.deploy.demo.session import Visit
from keeprate.deploy.demo.story import Version
from keeprate.deploy.demo.texts import touched
from keeprate.producers.text import length, levenshtein

HOUR_S = 3600
HORIZONS_S = (30, 120, 300, 600, HOUR_S, 24 * HOUR_S)
NEVER_S = float("inf")
LATE_SHARE = 0.01
UNDO_SHARE = 0.04
UNREAD: dict[str, Any] = {"status": "unobserved", "reason": "file_closed"}


@dataclass(frozen=True)
class Fate:
    """What will become of one accepted text. Times are seconds after the accept; `closed_s` is when the file closes."""

    edited: str
    edited_s: float
    removed_s: float
    restored_s: float
    closed_s: float

    def text_at(self, original: str, elapsed_s: float) -> str:
        """The text in the tracked range at a time."""
        if self.removed_s <= elapsed_s < self.restored_s:
            return ""
        return self.edited if elapsed_s >= self.edited_s else original


def fate_of(text: str, version: Version, rng: Random) -> Fate:
    """Draw a fate from a version's habits."""

    def when(share: float, median_s: float) -> float:
        return median_s * rng.lognormvariate(0, 0.9) if rng.random() < share else NEVER_S

    edited_s, removed_s = when(version.edited, version.edited_s), when(version.removed, version.removed_s)
    restored_s = removed_s + 60 * rng.lognormvariate(0, 1) if rng.random() < UNDO_SHARE else NEVER_S
    edited = touched(text, rng, heavily=rng.random() < version.rewritten)
    return Fate(edited, edited_s, removed_s, restored_s, HOUR_S * rng.lognormvariate(1.2, 1.3))


def track(
    session: Visit, generation_id: str, text: str, horizons_s: tuple[int, ...] = HORIZONS_S, accept_seq: int = 0
) -> None:
    """Tell of the checks of a text that was accepted now, each at its horizon. Leaves the session's clock alone."""
    fate = fate_of(text, session.version, session.rng)
    for horizon_s in horizons_s:
        # A closed file can be read again most of the time; else the check says why it saw nothing.
        unread = horizon_s > fate.closed_s and session.chance(0.12)
        elapsed_ms = horizon_s * 1000 + _delay_ms(session, horizon_s)
        session.tell(
            "retention_check",
            generation_id,
            session.now + elapsed_ms,
            horizon_s=horizon_s,
            elapsed_ms=elapsed_ms,
            accept_seq=accept_seq,
            original_length=length(text),
            **(UNREAD if unread else _found(text, fate.text_at(text, elapsed_ms / 1000))),
        )


def _delay_ms(session: Visit, horizon_s: int) -> int:
    delay_ms = session.rng.randint(3, 900)
    if session.chance(LATE_SHARE):
        delay_ms += int(horizon_s * 1000 * session.rng.uniform(0.2, 0.6)) + 20_000
    return delay_ms


def _found(text: str, current: str) -> dict[str, Any]:
    status = "present" if current else "removed"
    return {"status": status, "current_length": length(current), "distance": levenshtein(text, current)}
