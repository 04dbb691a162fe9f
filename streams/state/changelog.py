"""Recovering a state from its changelog: pure.

A record of the changelog merges into the state instead of replacing it, because a worker that lost its partitions and
has not noticed may still write an older outcome after the new owner's. Where that happened, the changelog's last record
of a key holds less than is known, and the merged outcome has to be written back before compaction keeps only the last.

So it is where the last record of a key is no outcome: what was known before stays, and is written back. Where nothing
was known, such a record is kept as it is: who looks it up sees that it is none, and begins anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from keeprate.schemas.checked_outcome import are_keys, is_key, read_outcome
from keeprate.schemas.outcome import Outcome, encode_outcome, merge


@dataclass(frozen=True, slots=True)
class ChangelogRun:
    """What a run of the changelog makes of a state.

    values: the new value of each key that the run speaks of; None where it was removed.
    behind: the keys whose last record holds less than the value.
    unreadable: what is wrong with each record that was skipped, or that took the place of a skipped one.
    """

    values: dict[bytes, bytes | None] = field(default_factory=dict)
    behind: set[bytes] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)


def replay(held: Mapping[bytes, bytes], records: Sequence[tuple[bytes | None, bytes | None]]) -> ChangelogRun:
    """Merge records, in the changelog's order, into what is held. Leaves `held` as it is."""
    if not held and (news := _news(records)) is not None:
        return ChangelogRun(news)
    replayed = ChangelogRun()
    values, behind = replayed.values, replayed.behind
    for key, arriving in records:
        if key is None or not is_key(key):
            replayed.unreadable.append(f"{key!r} is no key of an outcome")
            continue
        known = values[key] if key in values else held.get(key)
        if behind:
            behind.discard(key)
        values[key] = arriving
        if known is not None and arriving is not None and known != arriving:
            values[key] = merged = _merge(key.decode(), known, arriving, replayed.unreadable)
            if merged != arriving:
                behind.add(key)
    return replayed


def _news(records: Sequence[tuple[bytes | None, bytes | None]]) -> dict[bytes, bytes | None] | None:
    """Records by key where nothing is to be merged: each of another suggestion. None where something is."""
    values = dict(records)
    if len(values) < len(records) or None in values:
        return None
    news = cast(dict[bytes, bytes | None], values)
    return news if are_keys(news) else None


def _merge(key: str, known: bytes, arriving: bytes, unreadable: list[str]) -> bytes:
    """Both in one; the other one where one is no outcome."""
    before, after = _read(key, known, unreadable), _read(key, arriving, unreadable)
    if after is None:
        return known
    return arriving if before is None else encode_outcome(key, merge(before, after))


def _read(key: str, value: bytes, unreadable: list[str]) -> Outcome | None:
    try:
        return read_outcome(key, value)
    except ValueError as error:
        unreadable.append(str(error))
        return None
