"""The releases of the selected app and prompt: what users make of each, as the monitor judged it last."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.deploy.releases import words
from keeprate.deploy.why.links import EXPLAINED, release_key
from keeprate.sinks.closed import release_verdicts
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.store.clickhouse import to_ms

LISTED_FOR: Final = timedelta(days=28)
KEPT_S: Final = 15.0
MOST: Final = 4
"""A screen is no archive, and `keeprate releases` has them all."""
_SAID: Final = ("worse", "better")
_FOREMOST: Final = ("retention", *(each for each in EXPLAINED if each != "retention"))
"""What matters most is told first: what users keep, then what else they do; then all else."""
key: Final = release_key
"""The name of a release in an address."""


def releases(reads: Reads, selection: Selection) -> Json:
    """What one has to know of releases, each in words: see `foremost`."""
    began = reads.now - selection.span.length
    # A monitor that began just now has judged nothing, which is no sign that nothing got worse.
    is_judged = any(reads.sight.may(each.app) for each in _kept(reads))
    return {"rows": rows(verdicts(reads, selection), selection.horizon_s, began), "is_judged": is_judged}


def verdicts(reads: Reads, selection: Selection) -> list[KeptVerdict]:
    """The verdicts on the releases of the selection, the newest release first; those of one lie together."""
    return [each for each in _kept(reads) if _is_chosen(each, selection)]


def _kept(reads: Reads) -> list[KeptVerdict]:
    since = reads.now - LISTED_FOR
    # Kept by all who look: their names are few, and chosen from here.
    return reads.fact("releases", None, lambda: release_verdicts.kept(reads.client, since), KEPT_S)


def each(reads: Reads, selection: Selection) -> list[KeptVerdict]:
    """One verdict of each release, which says what was released when."""
    return [next(group) for _, group in groupby(verdicts(reads, selection), key=key)]


def told(reads: Reads, selection: Selection) -> dict[str, list[KeptVerdict]]:
    """What is said of each of the foremost releases, by its name."""
    found = foremost(verdicts(reads, selection))
    return {key(group[0]): _told(group, selection.horizon_s) for group in found}


def foremost(kept: Iterable[KeptVerdict]) -> list[list[KeptVerdict]]:
    """The verdicts of the first releases, as they are `ranked`."""
    return ranked(kept)[:MOST]


def ranked(kept: Iterable[KeptVerdict]) -> list[list[KeptVerdict]]:
    """The verdicts by release: first of those in use that are worse, then better, then of others; newest first.

    What was replaced since is nothing that anybody has to act on, whatever it was.
    """
    groups = [list(group) for _, group in groupby(kept, key=key)]
    used = in_use(groups)

    def rank(group: Sequence[KeptVerdict]) -> int:
        verdict = _overall(group)
        return _SAID.index(verdict) if verdict in _SAID and key(group[0]) in used else len(_SAID)

    return sorted(groups, key=rank)


def in_use(groups: Iterable[Sequence[KeptVerdict]]) -> set[str]:
    """The names of the releases that nothing has replaced, of verdicts by release, the newest first."""
    newest: dict[tuple[str, str, str], str] = {}
    for first, *_ in groups:
        newest.setdefault((first.app, first.component, first.family), key(first))
    return set(newest.values())


def rows(kept: Iterable[KeptVerdict], horizon_s: int, began: datetime | None = None) -> list[Json]:
    """The foremost releases, of verdicts of which those of one lie together. began: the period, where one is shown."""
    found = foremost(kept)
    used = in_use(found)
    return [_row(each, horizon_s, key(each[0]) in used and began is not None and _older(each, began)) for each in found]


def _older(found: Sequence[KeptVerdict], began: datetime) -> bool:
    """Whether a difference began before the period did: of it and the period before, both have it."""
    return found[0].released_at <= began and _overall(found) in _SAID


def _row(found: Sequence[KeptVerdict], horizon_s: int, in_both: bool) -> Json:
    first = found[0]
    return {
        "key": key(first),
        "app": first.app,
        "component": first.component,
        "family": first.family,
        "version": first.version,
        "predecessor": first.predecessor,
        "released_at": to_ms(first.released_at),
        "verdict": _overall(found),
        "how": words.METHOD[first.method],
        "in_both": in_both,
        "findings": [_finding(each) for each in _told(found, horizon_s)],
    }


def _finding(kept: KeptVerdict) -> Json:
    return {
        "verdict": kept.verdict,
        "text": words.sentence(kept),
        "short": words.short(kept),
        "chance": kept.p_value,
        "metric": kept.metric,
        "horizon_s": kept.horizon_s,
    }


def _told(found: Sequence[KeptVerdict], horizon_s: int) -> list[KeptVerdict]:
    """What is worse or better, what matters most first: of retention, at the chosen horizon or else, as in
    alerts, where the difference is largest."""
    said = [each for each in found if each.verdict in _SAID]
    retention = [each for each in said if each.horizon_s]
    told = [each for each in said if not each.horizon_s]
    if retention:
        told.append(max(retention, key=lambda each: (each.horizon_s == horizon_s, abs(each.difference or 0.0))))

    def rank(each: KeptVerdict) -> tuple[int, int, float]:
        return _SAID.index(each.verdict), place(each), -max(each.fell, each.rose)

    return sorted(told, key=rank)


def place(kept: KeptVerdict) -> int:
    """Of a release's metrics, which are told before which."""
    return _FOREMOST.index(kept.metric) if kept.metric in _FOREMOST else len(_FOREMOST)


def _overall(found: Sequence[KeptVerdict]) -> str:
    """The worst that is known; the same only where nothing is open."""
    verdicts = {each.verdict for each in found}
    return next(each for each in ("worse", "better", "not_yet", "same") if each in verdicts)


def values_of(kept: KeptVerdict) -> dict[str, str]:
    """The values by which the suggestions of a release are found."""
    own = {"app": kept.app, kept.component: kept.version}
    families = {"prompt_version": "prompt_name", "model": "surface"}
    return own | ({families[kept.component]: kept.family} if kept.component in families else {})


def _is_chosen(kept: KeptVerdict, selection: Selection) -> bool:
    own = values_of(kept)
    return all(own[name] in values for name, values in selection.only.items() if name in own)
