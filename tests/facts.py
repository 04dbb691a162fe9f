"""Events in one line each, about suggestions that are named by a word: for tests that tell a small story."""

import uuid
from collections.abc import Iterator
from itertools import count
from typing import Any

from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event

START_MS = 1_772_442_000_000
"""2026-03-02 09:00 UTC."""


class Facts:
    """Makes valid events of one app. Times are milliseconds after `START_MS`; ids repeat from run to run."""

    def __init__(self, app: str = "app") -> None:
        self.app = app
        self._ids: Iterator[int] = count(1)

    def generation(self, name: str, at: int = 0, **fields: Any) -> Event:
        return self._event(name, at, type="generation", **{"user": "u1", "outcome": "produced"} | fields)

    def action(self, name: str, action: str, at: int = 1000, **fields: Any) -> Event:
        return self._event(name, at, type="action", action=action, **fields)

    def check(self, name: str, horizon_s: int, current: str | None, original: str = "abcd", /, **fields: Any) -> Event:
        """A check at its horizon. `current` None: unobserved; '': removed; else only a replacement in place."""
        if current is None:
            state: dict[str, Any] = {"status": "unobserved", "reason": "exit"}
        elif not current:
            state = {"status": "removed", "original_length": len(original)}
        else:
            assert len(current) == len(original)
            distance = sum(a != b for a, b in zip(original, current, strict=True))
            state = {
                "status": "present",
                "original_length": len(original),
                "current_length": len(current),
                "distance": distance,
            }
        base = {"type": "retention_check", "horizon_s": horizon_s, "elapsed_ms": horizon_s * 1000}
        return self._event(name, 2000 + horizon_s * 1000, **base | state | fields)

    def vote(self, name: str, value: int | None, at: int = 3000, **fields: Any) -> Event:
        return self._event(name, at, type="vote", value=value, **{"user": "u1"} | fields)

    def flag(self, name: str, label: str, status: str = "set", at: int = 3000, **fields: Any) -> Event:
        return self._event(name, at, type="flag", label=label, status=status, **{"user": "u1"} | fields)

    def edit(self, name: str, at: int = 3000, **fields: Any) -> Event:
        return self._event(name, at, type="edit", **{"user": "u1"} | fields)

    def evaluation(self, name: str, kind: str, label: str, at: int = 3000, **fields: Any) -> Event:
        return self._event(
            name,
            at,
            type="evaluation",
            annotator_kind=kind,
            label=label,
            **{"name": "correct", "annotator": kind} | fields,
        )

    def _event(self, suggestion: str, at: int, /, **fields: Any) -> Event:
        envelope = {
            "event_id": str(uuid.UUID(int=next(self._ids))),
            "schema_version": 1,
            "occurred_at": START_MS + at,
            "app": self.app,
            "generation_id": str(uuid.uuid5(uuid.NAMESPACE_URL, suggestion)),
        }
        return validate(envelope | fields)
