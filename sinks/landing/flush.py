"""Landing one range of one partition: the delivery protocol, step by step.

Steps 1 and 6 are commits, which `flights` makes for many partitions in one request; 2 to 5 are done in a thread.

    1  commit(first, metadata = intent)     write-ahead, fenced by the group's generation
    2  sort the records                     rows, rejects, filtered: deterministic
    3  write the rejects as dead letters    and await every delivery; a failure stops the sink
    4  insert the rows                      with the range's token; a refused batch is split, a refused row goes to 3;
                                            of outcomes, derive the suggestions
    5  insert the ledger's row              with the range's token
    6  commit(last + 1)                     fenced

A flush that fails with StoreUnavailableError or BrokerUnavailableError is run again and goes on at the step that
failed. A process that dies after 1 leaves the intent, and the next owner runs the same flush from 1. What was inserted
already is recognised by its token; a dead letter may be written twice, and its row has the refused record's identity.

A token that was sent before proves nothing (see `landed`), so a second try ends with a question: what is not in the
table is inserted again, under the range's next token. Rows without an offset (outcomes, dead letters) merge with
themselves: they are not asked for, but sent under a token that nobody has used.

Who is forgotten (`schemas.forgotten`) may change between two tries of a range, and its rows' bytes with it. The token
stays: rows that landed before were rewritten where they are, and rows that did not land yet land without the person.

**Invariant:** between 1 and 6 no other range of the partition is begun.
**Invariant:** a record is committed past only when it is a row, an acknowledged dead letter, or counted as filtered.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from keeprate.schemas.dead_letters import QUARANTINED, DeadLetter, encode_letter
from keeprate.schemas.decode import ContractError
from keeprate.schemas.forgotten import NOBODY, Forgotten, PersonTrace
from keeprate.schemas.refusal_alarm import Alarm, RefusalAlarm
from keeprate.schemas.topics import DEAD_LETTERS, OUTCOMES, SOURCES
from keeprate.sinks.kafka.errors import BrokerError
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.births import StoreDiedError
from keeprate.sinks.landing.intent import Intent, token
from keeprate.sinks.landing.landed import is_in_ledger, is_under_way, landed_offsets
from keeprate.sinks.landing.rows import (
    FEEDBACK_TABLE,
    GENERATIONS_TABLE,
    Rows,
    SortedBatch,
    Table,
    letter_of,
    set_aside,
    sort,
)
from keeprate.sinks.landing.shards import Shard, Store, shard_of, shard_of_place
from keeprate.sinks.store.clickhouse import BatchRejectedError, SchemaMismatchError, StoreUnavailableError

# Explicit on every insert, because the defaults moved between releases. A batch is one block, so it lands whole or not
# at all, and its token stands for all of it.
INSERT_SETTINGS: Final[Mapping[str, str | int]] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_block_size": 10_000_000,
    "max_insert_block_size_bytes": 0,
    "min_insert_block_size_rows": 10_000_000,
    "min_insert_block_size_bytes": 0,
    "max_insert_threads": 1,
    "input_format_parallel_parsing": 0,
    "input_format_allow_errors_num": 0,
    # Months are few, but a history that is imported at once has many of them.
    "max_partitions_per_insert_block": 0,
}
LEDGER_COLUMNS: Final = (
    "sink",
    "topic",
    "partition",
    "first_offset",
    "last_offset",
    "rows",
    "dead_letters",
    "filtered",
    "absent",
    "schema_revision",
    "topic_id",
)
logger = logging.getLogger(__name__)

_LEDGER: Final = Table("ledger", LEDGER_COLUMNS, "JSONEachRow")
# Each is used up by a death of the store at the worst moment. There is an end to it because an event that was sent
# twice may merge with its other row at any time, and is then missed in vain.
_TOKENS: Final = 4
LANDED: Final = 5
"""The step after which nothing is left to do but the commit."""
_SOURCES: Final = tuple(topic.name for topic in SOURCES)
# Threads that sort at the same time are all done at the end. One after the other, the first one's insert is on its way
# while the second one's records are sorted.
_sorting: Final = threading.Lock()
# More at a time make each of them slower, and the first one later.
_sending: Final = threading.BoundedSemaphore(4)
_counting: Final = threading.Lock()


class ProcessEndedError(Exception):
    """What a record is set aside with that is not judged any more."""

    def __init__(self, times: int) -> None:
        super().__init__(f"{times} times, the sink or the store ended while it had this record")


class Commits(Protocol):
    """Commits offsets in the group's name: `kafka.Consumer`."""

    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> dict[TopicPartition, BrokerError]: ...


class Letters(Protocol):
    """Writes dead letters: `kafka.DeadLetterProducer`."""

    def write(self, letters: Sequence[tuple[Any, Any, list[tuple[str, bytes | None]]]]) -> None: ...


@dataclass(frozen=True)
class Destination:
    """What a flush acts through.

    sink: the group's name, which is also the ledger's. at_step: called as `(step, topic, partition)` after each step,
    from any thread; it must not raise. forgotten: who is, now; the same object while nobody was added; it may raise
    StoreError, and any thread calls it. learn: notes what records told of them, and returns who is forgotten then.
    shards: the store, in one part or more (`shards`).
    topic_ids: Kafka's id of each topic as the ledger has it; the sink adds those that it meets.
    refusal_alarm: judges what is refused. on_alarm: is told of an alarm that is raised or cleared, from any thread.
    """

    sink: str
    commits: Commits
    letters: Letters
    shards: Sequence[Shard]
    schema_revision: int
    at_step: Callable[[int, TopicPartition], None] = lambda step, at: None
    forgotten: Callable[[], Forgotten] = lambda: NOBODY
    topic_ids: dict[str, str] = field(default_factory=dict)
    refusal_alarm: RefusalAlarm = field(default_factory=RefusalAlarm)
    on_alarm: Callable[[Alarm], None] = lambda alarm: None
    learn: Callable[[Iterable[PersonTrace]], Forgotten] = lambda traces: NOBODY


@dataclass
class Flush:
    """One range on its way. `step` is the last one that was done, `attempts` how often it was begun.

    replayed: its intent was found, so somebody may have begun it before. One thread has it at a time.
    unanswered: when the store was started, by host, as it was known before an insert was sent that it did not answer.
    """

    at: TopicPartition
    intent: Intent
    records: Sequence[Record]
    size_bytes: int = 0
    replayed: bool = False
    step: int = 0
    attempts: int = 0
    began_s: float = 0.0
    retry_at_s: float = 0.0
    unanswered: tuple[int, Mapping[str, int]] | None = None
    batch: SortedBatch = field(default_factory=SortedBatch)
    refused: list[tuple[Record, DeadLetter]] = field(default_factory=list)
    _tried: set[str] = field(default_factory=set)
    _inserted: set[str] = field(default_factory=set)
    _forgotten: Forgotten = NOBODY
    _there: int = 0

    def intention(self) -> tuple[int, str]:
        """What step 1 commits."""
        return self.intent.first, self.intent.encode()

    def conclusion(self) -> tuple[int, str]:
        """What step 6 commits: of a part, with the next one, so that it is not forgotten that the range was cut."""
        following = self.intent.following()
        return self.intent.last + 1, following.resting().encode() if following else ""

    def passed(self, to: Destination) -> None:
        """Know that the next step was done."""
        self.step += 1
        to.at_step(self.step, self.at)

    def run(self, to: Destination) -> None:
        """Do what is left of steps 2 to 5.

        Raises StoreError or DeliveryError; the class says what to do about it.
        """
        if self.unanswered is not None:
            number, before = self.unanswered
            if to.shards[number].births.look(to.shards[number].store, before):
                raise StoreDiedError("the store died while it took these rows")
            self.unanswered = None
        steps = (self._2_sort, self._3_dead_letter, self._4_insert, self._5_account)
        with ExitStack() as announced:
            # From the beginning, so that those who begin together have one derivation.
            for shard in to.shards if self.at[0] == OUTCOMES.name and self.step < LANDED else ():
                announced.enter_context(shard.deriver.coming())
            while self.step <= len(steps):
                steps[self.step - 1](to)
                self.passed(to)

    @property
    def rows(self) -> int:
        """How many records are rows."""
        return sum(len(rows) for rows in self.batch.tables.values()) - len(self.refused) + self._there

    @property
    def dead_letters(self) -> int:
        """How many records are dead letters."""
        return len(self.batch.rejects) + len(self.refused)

    @property
    def quarantined(self) -> int:
        """How many records were set aside; of the dead letters, too, which are rows all the same."""
        aside = sum(letter.error_type == QUARANTINED for _, letter in (*self.batch.rejects, *self.refused))
        return aside + self.batch.bare

    def _2_sort(self, to: Destination) -> None:
        self._forgotten = to.forgotten()
        if self.intent.is_set_aside:
            # An attempt at a larger range may have landed it before its process ended.
            there = self._before(to)
            left = [record for record in self.records if record.offset() not in there]
            why = ProcessEndedError(self.intent.attempts - 1)
            self.batch = set_aside(*self.at, left, why, len(to.shards))
            self._there = len(self.records) - len(left)
            return
        with _sorting:
            self.batch = sort(*self.at, self.records, self._forgotten, len(to.shards))
        if not self.batch.traces:
            return
        # Noted before it lands: afterwards no row says any more whose session it was.
        known = to.learn(self.batch.traces)
        if known is not self._forgotten:
            self._forgotten = known
            with _sorting:
                self.batch = sort(*self.at, self.records, known, len(to.shards))

    def _3_dead_letter(self, to: Destination) -> None:
        letters = [letter for _, letter in self.batch.rejects]
        if self.at[0] in _SOURCES:
            with _counting:
                for alarm in to.refusal_alarm.judge(self.batch.accepted, letters):
                    logger.warning("%s", alarm)
                    to.on_alarm(alarm)
        self._write_letters(to, self.batch.rejects)

    def _4_insert(self, to: Destination) -> None:
        if not self._inserted and to.forgotten() is not self._forgotten:
            # It waited since: the rows were made for those who were forgotten then.
            self._2_sort(to)
        for table, rows in self.batch.tables.items():
            if len(rows):
                self._insert(to, table, rows, 0, len(rows))
        # Behind the insert: a suggestion is what all parts of its outcome merge to.
        for number, shard in enumerate(to.shards):
            shard.deriver.derive(shard.store, self._generations(number, len(to.shards)))

    def _5_account(self, to: Destination) -> None:
        first, last = self.intent.first, self.intent.last
        absent = last - first + 1 - len(self.records)
        counts = (self.rows, self.dead_letters, self.batch.filtered, absent)
        row = (to.sink, *self.at, first, last, *counts, to.schema_revision, to.topic_ids.get(self.at[0], ""))
        data = json.dumps(dict(zip(LEDGER_COLUMNS, row, strict=True))).encode()
        table = _LEDGER.at(shard_of_place(self.at[1], len(to.shards)))
        there = partial(is_in_ledger, to.shards[table.shard].store, to.sink, self.at, self.intent)
        self._put(to, table, "ledger", [data], lambda: [] if there() else [data])

    def _insert(self, to: Destination, table: Table, rows: Rows, begin: int, end: int) -> None:
        """Insert rows [begin, end), halving what is refused until the row at fault is alone."""
        # A shard knows its own tokens only, and what is asked of one is not known of another.
        where = f"{table.name}@{table.shard}" if table.shard else table.name
        part = f"{where}/{begin}-{end}"
        if part in self._inserted:
            return
        missing = partial(self._missing, to, table, rows, begin, end) if table.by_offset else None
        try:
            self._put(to, table, part, rows.encoded[begin:end], missing)
        except BatchRejectedError as error:
            if end - begin == 1:
                self._refuse(to, rows.records[begin], error)
            else:
                middle = (begin + end) // 2
                self._insert(to, table, rows, begin, middle)
                self._insert(to, table, rows, middle, end)
        self._inserted.add(part)

    def _put(
        self,
        to: Destination,
        table: Table,
        part: str,
        encoded: list[bytes],
        missing: Callable[[], list[bytes]] | None,
    ) -> None:
        """Insert rows once, however often it is tried. missing: asks the table which of them it does not have."""
        again = self.replayed or part in self._tried
        self._tried.add(part)
        if missing is not None and self.intent.is_suspect:
            # Another cut of the same records, with tokens of its own, may have put them there.
            self._wait_for_others(to.shards[table.shard].store, to.sink)
            encoded = missing()
            if not encoded:
                return
        if not again:
            self._send(to, table, encoded, self._settings(to, part))
            return
        left = encoded
        if missing is not None:
            for number in range(_TOKENS):
                self._send(to, table, left, self._settings(to, f"{part}/{number}" if number else part))
                if not (left := missing()):
                    return
                logger.warning(
                    "%s/%d: %d row(s) of %d to %d were sent to %s and are not there; sending them again",
                    *self.at, len(left), self.intent.first, self.intent.last, table.name,
                )  # fmt: skip
        self._send(to, table, left, INSERT_SETTINGS)

    def _send(self, to: Destination, table: Table, encoded: list[bytes], settings: Mapping[str, str | int]) -> None:
        data, every = b"".join(encoded), {**settings, **dict(table.settings), "log_comment": self._whose(to.sink)}
        shard = to.shards[table.shard]
        try:
            with _sending:
                shard.store.insert_bytes(table.name, table.columns, data, table.format, every)
        except StoreUnavailableError as error:
            if error.was_sent:
                self.unanswered = table.shard, shard.births.known
            raise

    def _before(self, to: Destination) -> set[int]:
        """The offsets of the range that former attempts landed as facts."""
        there: set[int] = set()
        for shard in to.shards:
            self._wait_for_others(shard.store, to.sink)
            for table in (GENERATIONS_TABLE, FEEDBACK_TABLE):
                there |= landed_offsets(shard.store, table.name, self.at, self.intent)
        return there

    def _generations(self, number: int, shards: int) -> set[tuple[str, str]]:
        """Those of the batch whose suggestions a shard has."""
        return {each for each in self.batch.generations if shard_of(each[1], shards) == number}

    def _wait_for_others(self, store: Store, sink: str) -> None:
        """Raise while the store works at an insert of this partition: it finishes what the dead have sent."""
        if is_under_way(store, self._whose(sink)):
            raise StoreUnavailableError("an insert of this partition is still under way")

    def _missing(self, to: Destination, table: Table, rows: Rows, begin: int, end: int) -> list[bytes]:
        landed = landed_offsets(to.shards[table.shard].store, table.name, self.at, self.intent)
        return [rows.encoded[n] for n in range(begin, end) if rows.records[n].offset() not in landed]

    def _refuse(self, to: Destination, record: Record, error: BatchRejectedError) -> None:
        if self.at[0] == DEAD_LETTERS.name:
            # Nothing refuses a dead letter but a table of another shape.
            raise SchemaMismatchError(str(error), error.code, error.name) from error
        reason = f"the store refused the row: {error.name or error.code}"
        refusal = record, letter_of(self.at, record, ContractError("invalid", reason))
        self._write_letters(to, [refusal])
        self.refused.append(refusal)

    def _write_letters(self, to: Destination, refusals: Sequence[tuple[Record, DeadLetter]]) -> None:
        if refusals:
            to.letters.write([encode_letter(letter, record.key(), record.value()) for record, letter in refusals])

    def _settings(self, to: Destination, part: str) -> dict[str, str | int]:
        return {**INSERT_SETTINGS, "insert_deduplication_token": token(to.sink, *self.at, self.intent, part)}

    def _whose(self, sink: str) -> str:
        return "/".join(map(str, ("keeprate", sink, *self.at)))
