"""Recovering a state from its changelog: pure.

A record of the changelog merges into the state instead of replacing it, because a worker that lost its partitions and
has not noticed may still write an older outcome after the new owner's. Where that happened, the changelog's last record
of a key holds less than is known, and the merged outcome has to be written back before compaction keeps only the last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keeprate.schemas.outcome import decode_outcome, encode_outcome, merge


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a run of the changelog makes of a state.

    values: the new value of each key that the run speaks of; None where it was removed.
    behind: the keys whose last record holds less than the value.
    """

    values: dict[bytes, bytes | None]
    behind: set[bytes]


def replay(held: Mapping[bytes, bytes | None], records: Iterable[tuple[bytes, bytes | None]]) -> Replayed:
    """Merge records, in the changelog's order, into what is held. Leaves `held` as it is."""
    values: dict[bytes, bytes | None] = {}
    behind: set[bytes] = set()
    for key, arriving in records:
        known = values[key] if key in values else held.get(key)
        behind.discard(key)
        values[key] = arriving
        if known is not None and arriving is not None and known != arriving:
            values[key] = merged = _merge(known, arriving)
            if merged != arriving:
                behind.add(key)
    return Replayed(values, behind)


def _merge(a: bytes, b: bytes) -> bytes:
    (key, known), (_, arriving) = decode_outcome(a), decode_outcome(b)
    return encode_outcome(key, merge(known, arriving))
