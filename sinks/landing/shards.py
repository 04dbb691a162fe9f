"""Which shard of the store a row belongs to, and a shard as a flush acts on it.

A generation's rows are all on one shard, by Kafka's own hash of its id, so what merges meets, and every derivation and
count of a suggestion is local. The same hash chose the partition: where the number of partitions is a multiple of the
number of shards, all rows of a partition go to one shard, and a shard that is away holds up its own partitions alone.
Where it is not, or a producer puts records elsewhere, the rows are still where they belong; more partitions wait.

    facts, outcomes, what is derived      the generation's id
    the ledger                            the partition that a range is of
    dead letters                          the partition that the refused record is of

`kafkaMurmurHash` is ClickHouse's name for the hash.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from keeprate.sinks.landing.births import Births
from keeprate.sinks.landing.landed import Asks
from keeprate.sinks.reading.derive import Deriver

_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_ID_LENGTH: Final = 36
_SEED: Final = (0x9747B28C ^ _ID_LENGTH) & _MASK
_words: Final = struct.Struct("<9I").unpack


class Store(Asks, Protocol):
    """Inserts, under a token that nobody has used where the settings name none, and answers: `clickhouse.Client`."""

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None: ...

    def insert_bytes(
        self, table: str, columns: Sequence[str], data: bytes, format_name: str, settings: Mapping[str, str | int]
    ) -> None: ...


@dataclass(frozen=True)
class Shard:
    """One part of the store. births: when it was started, as far as it is known."""

    store: Store
    births: Births = field(default_factory=Births)
    deriver: Deriver = field(default_factory=Deriver)


def shard_of(generation_id: str, shards: int) -> int:
    """The number of the shard, from 0, that has a generation's rows. The id is as events have it: 36 characters."""
    if shards == 1:
        return 0
    hashed = _SEED
    for word in _words(generation_id.encode()):
        word = word * _M & _MASK
        hashed = hashed * _M & _MASK ^ (word ^ word >> 24) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    return ((hashed ^ hashed >> 15) & 0x7FFFFFFF) % shards


def shard_of_place(partition: int, shards: int) -> int:
    """The number of the shard that has what is said of a partition: its ledger, and its refused records."""
    return partition % shards
