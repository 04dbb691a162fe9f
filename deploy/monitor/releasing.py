"""Judging releases in the background: which are due, and keeping what was found.

A release is judged as of the time up to which its app's batches are closed or could be, so a monitor that waits for
what lags says nothing early. The same facts give the same verdicts, after a restart or in a second monitor.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from keeprate.deploy.releases.judging import JUDGED_FOR, Release, ReleaseFinding, find, findings
from keeprate.sinks.closed import batches, release_verdicts
from keeprate.sinks.store.clickhouse import Client

OFTEN: Final = timedelta(minutes=5)
LOOKS_EVERY: Final = timedelta(seconds=20)
_NEVER: Final = datetime.fromtimestamp(0, UTC)
_NOTHING: Final[Mapping[str, datetime]] = MappingProxyType({})
YOUNG: Final = timedelta(days=1)
_PARTS_OF_AGE: Final = 48
"""A release of a day is judged every half hour, one of a week every three and a half: what a day adds shrinks."""
IN_USE: Final = timedelta(days=1)
"""A version that was not used for so long is exported no more: what it was alarmed for is over."""
MAX_EXPORTED: Final = 30
"""The newest releases: more would only add to the cardinality."""


@dataclass(frozen=True)
class LastJudged:
    """When a release was judged last: as of what, up to when batches were closed, whether all seems to have landed."""

    as_of: datetime
    closed: datetime
    landed: bool

    def is_due(self, as_of: datetime, closed: datetime, step: timedelta) -> bool:
        """Whether it is to be judged again, where a step is what matters: of time, or of batches that were behind."""
        caught_up = self.as_of - self.closed > step and closed - self.closed >= step
        return not self.landed or as_of - self.as_of >= step or caught_up


@dataclass
class Releases:
    """The releases of a store, and what is known of each."""

    found: dict[Release, list[ReleaseFinding]] = field(default_factory=dict)
    _judged: dict[tuple[str, ...], LastJudged] = field(default_factory=dict)
    _as_of: Mapping[str, datetime] = field(default_factory=dict)
    _closed: Mapping[str, datetime] = field(default_factory=dict)
    _looked_at: datetime = _NEVER

    def refresh(self, client: Client, now: datetime, complete: Mapping[str, datetime] = _NOTHING) -> None:
        """Judge what is due, and keep it. Raises StoreError between two releases.

        now: of any clock. A release may come late, with events of hours that are closed: it is looked for all the time.
        complete: by app, up to when batches could close. Weeks of history take minutes to be counted in batches, and
        most of what a release is judged by is not read from them.
        """
        closed = {app: at for (kind, app), at in batches.closed_until(client).items() if kind == "generation"}
        as_of = _latest(closed, complete, self._as_of)
        nothing_new = (as_of, closed) == (self._as_of, self._closed)
        if not as_of or (nothing_new and now - self._looked_at < LOOKS_EVERY):
            return
        self._looked_at = now
        since = min(as_of.values()) - JUDGED_FOR
        known = [each for each in find(client, since, max(as_of.values())) if _may_be_judged(each, as_of)]
        before = {_name(release): of_release for release, of_release in self.found.items()}
        self.found = {release: before.get(_name(release), []) for release in known}
        for release in known:
            self._judge(client, release, as_of[release.app], closed.get(release.app, _NEVER))
        self._as_of, self._closed = as_of, closed

    def _judge(self, client: Client, release: Release, as_of: datetime, closed: datetime) -> None:
        judged, age = self._judged.get(_name(release)), as_of - release.released_at
        if judged and not judged.is_due(as_of, closed, max(OFTEN, age / _PARTS_OF_AGE)):
            return
        before, now = self.found[release], findings(client, release, as_of)
        release_verdicts.keep(client, [each.kept for each in now])
        self.found[release] = now
        # The first look may find half of what is being told late: a young release is judged until two looks agree.
        self._judged[_name(release)] = LastJudged(as_of, closed, age > YOUNG or _counts(before) == _counts(now))

    def in_use(self) -> Iterator[tuple[Release, list[ReleaseFinding]]]:
        """The newest releases that are in use, with what is known of them."""
        newest = sorted(self.found, key=lambda each: each.released_at, reverse=True)
        using = [each for each in newest if self._as_of[each.app] - each.last_at < IN_USE]
        yield from ((each, self.found[each]) for each in using[:MAX_EXPORTED])


def _latest(*known: Mapping[str, datetime]) -> dict[str, datetime]:
    apps = {app for each in known for app in each}
    return {app: max(each[app] for each in known if app in each) for app in apps}


def _may_be_judged(release: Release, as_of: Mapping[str, datetime]) -> bool:
    return release.app in as_of and as_of[release.app] - JUDGED_FOR <= release.released_at < as_of[release.app]


def _counts(found: Iterable[ReleaseFinding]) -> list[tuple[int, int]]:
    return [(each.comparison.new_trials, each.comparison.new_successes) for each in found]


def _name(release: Release) -> tuple[str, ...]:
    return (release.component, *release.family, release.version)
