"""An alarm for an app of which nearly everything is refused.

A dead letter here and there is an app's mistake. When nearly all of an app's records are refused, a deploy of it went
wrong, and somebody has to know at once. Its records go on into the dead letters, to be replayed when it is mended; the
other apps do not notice.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keeprate.schemas.dead_letters import DeadLetter

WINDOW_RECORDS: Final = 10_000
"""Judged are an app's last records, about so many: when there are more, both counts are halved."""
FEWEST_RECORDS: Final = 1_000
"""Fewer say nothing."""
RAISE_SHARE: Final = 0.9
"""The alarm is raised when more than this share is refused."""
CLEAR_SHARE: Final = 0.5
"""And cleared when it is less than this."""
MAX_APPS: Final = 500
"""Of which refusals are counted at a time: names in refused records may be anything."""


@dataclass(frozen=True)
class Alarm:
    """An alarm that was raised, or is over. app: '' for the records that name no app."""

    app: str
    raised: bool
    refused: int
    records: int
    why: str

    def __str__(self) -> str:
        whose = f"app {self.app}" if self.app else "records that name no app"
        numbers = f"{self.refused:,} of the last {self.records:,} records were refused"
        if not self.raised:
            return f"{whose}: the alarm is over, {numbers}"
        return (
            f"{whose}: {numbers}, the last one with: {self.why}. They are in the dead letters: look at them with "
            "keeprate dead-letters list, mend what sends them, then keeprate dead-letters replay"
        )


@dataclass
class _App:
    records: int = 0
    refused: int = 0
    alarmed: bool = False
    why: str = ""


@dataclass
class RefusalAlarm:
    """Judges batch after batch. An app is counted from its first refusal on."""

    _apps: dict[str, _App] = field(default_factory=dict)

    def judge(self, accepted: Mapping[str, int], letters: Sequence[DeadLetter]) -> list[Alarm]:
        """Take in a batch: how many records of each app were accepted, and the letters of the others.

        Returns the alarms that this raises or clears.
        """
        if not letters and not self._apps:
            return []
        refused = Counter(letter.app for letter in letters)
        for letter in letters:
            # The app that was refused last stands last.
            self._apps[letter.app] = app = self._apps.pop(letter.app, None) or _App()
            app.why = letter.text
        spoken = [name for name in self._apps if name in refused or name in accepted]
        counted = [self._count(name, accepted.get(name, 0), refused[name]) for name in spoken]
        changes = [change for change in counted if change is not None]
        while len(self._apps) > MAX_APPS:
            name = next(iter(self._apps))
            if (app := self._apps.pop(name)).alarmed:
                changes.append(_alarm(name, app, raised=False))
        return changes

    def _count(self, name: str, accepted: int, refused: int) -> Alarm | None:
        app = self._apps[name]
        app.records += accepted + refused
        app.refused += refused
        while app.records > WINDOW_RECORDS:
            app.records //= 2
            app.refused //= 2
        if not app.refused and not app.alarmed:
            del self._apps[name]
        share = CLEAR_SHARE if app.alarmed else RAISE_SHARE
        raised = app.records >= FEWEST_RECORDS and app.refused > share * app.records
        if raised == app.alarmed:
            return None
        app.alarmed = raised
        return _alarm(name, app, raised)


def _alarm(name: str, app: _App, raised: bool) -> Alarm:
    return Alarm(name, raised, app.refused, app.records, app.why)
