"""The table of outcomes: Faust's own, for assignment and recovery, over a state for each partition.

Its changelog is keeprate.outcomes, which is the join's output too.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

import faust
from faust.stores.base import Store
from faust.types import TP

from keeprate.streams.join.expiry import stamp_all, stamps_of_records, value_of
from keeprate.streams.join.pipeline import Place
from keeprate.streams.state.changelog import replay
from keeprate.streams.state.partition import MemoryState, NotOursError, PartitionState, RocksState, reached

logger = logging.getLogger(__name__)
_FAUST_LOGGER = logging.getLogger("faust.keeprate")

STATE_FORMAT: Final = 2
"""In the directory's name: a state of another format is left alone, and recovered anew."""

WriteBack = Callable[[int, dict[bytes, bytes | None]], Any]
Fail = Callable[[BaseException], Awaitable[Any]]
Recovered = Callable[[], Awaitable[None]]
Unreadable = Callable[[Place, int], None]
"""Where how many outcomes could not be read."""


class OutcomeStore(Store[bytes, bytes]):
    """What Faust recovers into.

    **Invariant:** a state is closed as soon as its partition is neither ours nor our standby, so no two workers'
    writes meet in it.
    """

    logger = _FAUST_LOGGER

    def __init__(
        self,
        *args: Any,
        data_dir: Path | None,
        write_back: WriteBack,
        on_rebalance: Callable[[], None],
        on_recovered: Recovered,
        on_unreadable: Unreadable,
        fail: Fail,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._data_dir = data_dir
        self._write_back = write_back
        self._tell_rebalance = on_rebalance
        self._tell_recovered = on_recovered
        self._tell_unreadable = on_unreadable
        self._fail = fail
        self._rebalances = 0
        self._ours: set[int] = set()
        self._states: dict[int, PartitionState] = {}
        # Keys whose last record in the changelog holds less than what is known.
        self._behind: dict[int, set[bytes]] = defaultdict(set)

    def partition(self, number: int) -> PartitionState:
        """The state of a partition, opened when it is asked for the first time. Raises NotOursError."""
        if number not in self._ours:
            raise NotOursError(f"partition {number} is not ours any more")
        if number not in self._states:
            path = self._data_dir and self._data_dir / f"{self.table_name}-{STATE_FORMAT}" / str(number)
            self._states[number] = RocksState(path) if path else MemoryState()
        return self._states[number]

    def persisted_offset(self, tp: TP) -> int | None:
        return self.partition(tp.partition).offset

    def apply_changelog_batch(
        self, batch: Iterable[Any], to_key: Callable[[Any], bytes], to_value: Callable[[Any], bytes]
    ) -> None:
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for event in batch:
            by_partition[event.message.partition] += event.message.value.records
        for number, records in by_partition.items():
            # What was fetched before a rebalance comes after it; its new owner has read it.
            if number in self._ours:
                self._apply(number, records)

    def _apply(self, number: int, records: list[Any]) -> None:
        state = self.partition(number)
        written_at_ms = {record.key: record.timestamp for record in records}
        keys = [key for key in written_at_ms if key is not None]
        kept = zip(keys, state.get_many(keys), strict=True)
        held = {key: value_of(value) for key, value in kept if value is not None}
        replayed = replay(held, [(record.key, record.value) for record in records])
        if replayed.unreadable:
            logger.warning(
                "partition %s: %s records of the changelog are no outcomes and are skipped, the first: %s",
                number, len(replayed.unreadable), replayed.unreadable[0],
            )  # fmt: skip
            self._tell_unreadable("changelog", len(replayed.unreadable))
        self._behind[number].difference_update(keys)
        self._behind[number].update(replayed.behind)
        now_ms = time.time_ns() // 1_000_000
        stamps_ms = stamps_of_records([written_at_ms[key] for key in replayed.values], now_ms)
        stamped = stamp_all(replayed.values, stamps_ms)
        state.write(stamped, records[-1].offset)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        self._tell_rebalance()
        self._rebalances += 1
        topic = self.table.changelog_topic.get_topic_name()
        self._ours = {tp.partition for tp in assigned if tp.topic == topic}
        for number in [number for number in self._states if number not in self._ours]:
            self._states.pop(number).close()
            self._behind.pop(number, None)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        rebalances = self._rebalances
        try:
            for number in sorted({tp.partition for tp in active_tps}):
                await self._write_behind(number)
                if rebalances != self._rebalances:
                    # The recovery that follows has its own end.
                    return
            await self._tell_recovered()
        except NotOursError as error:
            logger.info("%s while it was recovered", error)
        except Exception as error:  # noqa: BLE001 - Faust would not hear of it, and no batch would be taken any more
            await self._fail(error)

    async def _write_behind(self, number: int) -> None:
        """Write those outcomes to the changelog again whose last record there holds less than the state."""
        keys = sorted(self._behind.pop(number, ()))
        if not keys:
            return
        logger.info("partition %s: %s outcomes were behind in the changelog; writing them back", number, len(keys))
        rebalances, state = self._rebalances, self.partition(number)
        kept = zip(keys, state.get_many(keys), strict=True)
        whole: dict[bytes, bytes | None] = {key: value_of(value) for key, value in kept if value is not None}
        written = await self._write_back(number, whole)
        if rebalances == self._rebalances:
            state.write({}, reached(state.offset, written))

    async def need_active_standby_for(self, tp: TP) -> bool:
        return True

    def reset_state(self) -> None:
        """Nothing: a state is discarded by removing its directory."""

    async def backup_partition(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: the changelog is the backup."""
        raise NotImplementedError

    def restore_backup(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: the changelog is the backup."""
        raise NotImplementedError

    async def on_stop(self) -> None:
        for state in self._states.values():
            state.close()
        self._states.clear()


class OutcomeTable(faust.Table[bytes, bytes]):
    """A Faust table whose store is an OutcomeStore. Nothing writes to it by item assignment."""

    logger = _FAUST_LOGGER

    def __init__(
        self,
        *args: Any,
        data_dir: Path | None,
        write_back: WriteBack,
        on_rebalance: Callable[[], None],
        on_recovered: Recovered,
        on_unreadable: Unreadable,
        fail: Fail,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._store_arguments: dict[str, Any] = {
            "data_dir": data_dir,
            "write_back": write_back,
            "on_rebalance": on_rebalance,
            "on_recovered": on_recovered,
            "on_unreadable": on_unreadable,
            "fail": fail,
        }

    def _new_store(self) -> OutcomeStore:
        return OutcomeStore(
            "memory://",
            self.app,
            self,
            table_name=self.name,
            loop=self.loop,
            **self._store_arguments,
        )

    def partition(self, number: int) -> PartitionState:
        """The state of a partition."""
        store: Any = self.data
        state: PartitionState = store.partition(number)
        return state
