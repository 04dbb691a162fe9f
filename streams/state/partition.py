"""The state of one partition: encoded outcomes by key, with the offset of the changelog up to which they are complete.

In memory, or in RocksDB. Either way the changelog is the truth, and the state can be rebuilt from it: a write need not
be durable when it returns, but a partition's changes and their offset are written together or not at all.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, cast

Changes = Mapping[bytes, bytes | None]
"""New value by key; None removes the key."""


Offsets = tuple[int, int, int] | None
"""First and last offset in the changelog of what was written in one go, and the number of records; None of nothing."""


def reached(offset: int | None, written: Offsets) -> int | None:
    """The offset up to which a state is complete once what was written is in it; None to leave it where it is.

    Another worker's records may stand before or among ours, in a changelog that has two writers for a moment. The
    offset stays before them then, so that the next recovery reads them. Of a state without an offset nothing was ever
    read: it is complete only up to what was written at the changelog's very beginning.
    """
    if written is None:
        return None
    first, last, number = written
    follows = first == (0 if offset is None else offset + 1)
    return last if follows and last - first + 1 == number else None


class NotOursError(Exception):
    """The partition has gone to another worker: leave the batch to it, acknowledge nothing."""


class StateLockedError(Exception):
    """Another process has the state directory open: the worker refuses to start. Give each worker its own."""


class PartitionState(Protocol):
    """What a partition's state offers, whatever holds it."""

    @property
    def offset(self) -> int | None:
        """The changelog's last offset that is in here; None when nothing is known of it."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def write(self, changes: Changes, offset: int | None) -> None:
        """Apply changes, and move the offset to `offset` unless that is None or behind."""

    def scan(self, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """The first so many keys from `start` on, in order, with their values; fewer where there are no more.

        A key that comes in while somebody walks through may be left out.
        """

    def close(self) -> None:
        """Let go of it. What is on disk stays there."""


class MemoryState:
    """State in a dictionary, gone with the process."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        # The keys in order, while somebody walks through them.
        self._walk: list[bytes] | None = None
        self.offset: int | None = None

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return list(map(self._values.get, keys))

    def write(self, changes: Changes, offset: int | None) -> None:
        for key, value in changes.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        self.offset = _later(self.offset, offset)

    def scan(self, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        if not start or self._walk is None:
            self._walk = sorted(self._values)
        walk = self._walk
        kept = (walk[at] for at in range(bisect_left(walk, start), len(walk)) if walk[at] in self._values)
        found = [(key, self._values[key]) for key in islice(kept, limit)]
        if len(found) < limit:
            self._walk = None
        return found

    def close(self) -> None:
        self._values.clear()
        self.offset = None


# Sorts before every outcome's key, which begins with an app's name.
_OFFSET_KEY: Final = b"\x00offset"
_FIRST_KEY: Final = b"\x01"


class RocksState:
    """State in a RocksDB directory, there again after a restart.

    RocksDB keeps no log of its own: a process that is killed finds the state as it was some 32 MB of writes ago, with
    the offset that belongs to it, and recovers the rest from the changelog.
    """

    def __init__(self, path: Path) -> None:
        from rocksdict import AccessType, Rdict, WriteOptions

        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db: Any = Rdict(str(path), options=_options(), access_type=AccessType.read_write())
        except Exception as error:
            if "lock" not in str(error).lower():
                raise
            raise StateLockedError(
                f"{path}: another process has it open; give each worker its own --data-dir"
            ) from None
        # Its own annotations call this property a method.
        self._unlogged = cast(Any, WriteOptions())
        self._unlogged.disable_wal = True
        known = self._db.get(_OFFSET_KEY)
        self.offset: int | None = None if known is None else int(known)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        values: list[bytes | None] = self._db.get(list(keys))
        return values

    def write(self, changes: Changes, offset: int | None) -> None:
        from rocksdict import WriteBatch

        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self.offset = _later(self.offset, offset)
        if self.offset is not None:
            batch.put(_OFFSET_KEY, str(self.offset).encode())
        self._db.write(batch, self._unlogged)

    def scan(self, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        found = islice(self._db.items(from_key=max(start, _FIRST_KEY)), limit)
        return list(found)

    def close(self) -> None:
        self._db.close()


def _options() -> Any:
    from rocksdict import BlockBasedOptions, DBCompressionType, Options

    options = Options(raw_mode=True)
    # Most keys that are looked up are new: they are in no file, and not in what is in memory.
    blocks = BlockBasedOptions()
    blocks.set_bloom_filter(10, False)
    options.set_block_based_table_factory(blocks)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.05)
    # So a lookup can do with more files, and a recovery writes a state that is compacted half as often.
    options.set_level_zero_file_num_compaction_trigger(8)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(32 << 20)
    options.set_max_write_buffer_number(3)
    options.set_keep_log_file_num(2)
    return options


def _later(a: int | None, b: int | None) -> int | None:
    return max((offset for offset in (a, b) if offset is not None), default=None)
