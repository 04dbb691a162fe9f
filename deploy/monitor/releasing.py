"""Judging releases in the background: which are due, and keeping what was found.

A release is judged as of the time up to which its app's batches are closed, so a monitor that waits for what lags says
nothing early. The same facts give the same verdicts, after a restart or in a second monitor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.deploy.releases.judging import JUDGED_FOR, Release, ReleaseFinding, find, findings
from keeprate.sinks.closed import batches, release_verdicts
from keeprate.sinks.store.clickhouse import Client

OFTEN: Final = timedelta(minutes=5)
LOOKS_EVERY: Final = timedelta(minutes=1)
_NEVER: Final = datetime.fromtimestamp(0, UTC)
_PARTS_OF_AGE: Final = 48
"""A release of a day is judged every half hour, one of a week every three and a half: what a day adds shrinks."""
IN_USE: Final = timedelta(days=1)
"""A version that was not used for so long is exported no more: what it was alarmed for is over."""
MAX_EXPORTED: Final = 30
"""The newest releases: more would only add to the cardinality."""


@dataclass
class Releases:
    """The releases of a store, and what is known of each."""

    found: dict[Release, list[ReleaseFinding]] = field(default_factory=dict)
    _judged_at: dict[tuple[str, ...], datetime] = field(default_factory=dict)
    _as_of: Mapping[str, datetime] = field(default_factory=dict)
    _looked_at: datetime = _NEVER

    def refresh(self, client: Client, now: datetime) -> None:
        """Judge what is due, and keep it. Raises StoreError between two releases.

        now: of any clock. A release may come late, with events of hours that are closed: it is looked for every minute.
        """
        closed = batches.closed_until(client)
        as_of = {app: at for (kind, app), at in closed.items() if kind == "generation"}
        if not as_of or (as_of == self._as_of and now - self._looked_at < LOOKS_EVERY):
            return
        self._looked_at = now
        since = min(as_of.values()) - JUDGED_FOR
        known = [each for each in find(client, since, max(as_of.values())) if _may_be_judged(each, as_of)]
        before = {_name(release): of_release for release, of_release in self.found.items()}
        self.found = {release: before.get(_name(release), []) for release in known}
        for release in known:
            self._judge(client, release, as_of[release.app])
        self._as_of = as_of

    def _judge(self, client: Client, release: Release, as_of: datetime) -> None:
        judged_at = self._judged_at.get(_name(release))
        if judged_at and as_of - judged_at < max(OFTEN, (as_of - release.released_at) / _PARTS_OF_AGE):
            return
        self.found[release] = findings(client, release, as_of)
        release_verdicts.keep(client, [each.kept for each in self.found[release]])
        self._judged_at[_name(release)] = as_of

    def in_use(self) -> Iterator[tuple[Release, list[ReleaseFinding]]]:
        """The newest releases that are in use, with what is known of them."""
        newest = sorted(self.found, key=lambda each: each.released_at, reverse=True)
        using = [each for each in newest if self._as_of[each.app] - each.last_at < IN_USE]
        yield from ((each, self.found[each]) for each in using[:MAX_EXPORTED])


def _may_be_judged(release: Release, as_of: Mapping[str, datetime]) -> bool:
    return release.app in as_of and as_of[release.app] - JUDGED_FOR <= release.released_at < as_of[release.app]


def _name(release: Release) -> tuple[str, ...]:
    return (release.component, *release.family, release.version)
