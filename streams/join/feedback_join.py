"""Join generations with their feedback into outcomes, whatever the order in which they arrive.

Reads      keeprate.generations and keeprate.feedback, records of one partition number at a time
Writes     keeprate.outcomes: every outcome that changed, to the partition its source record was in;
           keeprate.dead-letters: every record that is no event, or that is set aside (`judging`)
State      per partition, the outcome of each suggestion by `outcome.key_of`; keeprate.outcomes is its changelog
Late       feedback that comes before its generation is held as an orphan, an outcome without `generation`, and is
           joined when the generation arrives; a fact about an outcome that has left the state starts a partial one,
           which merges with the rest in the store
Limit      what would make an outcome larger than MAX_OUTCOME_BYTES is refused; the outcome stays as it was
Delivery   at least once: a batch that is read again after a crash merges into the same outcomes, by the law of
           `outcome.merge`, so nothing is lost and nothing counts twice

Pure: no clock, no input or output. The shell decides when to read, look up, write and commit.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Final, Protocol

from keeprate.schemas.dead_letters import DeadLetter, Headers, app_of, dead_letter, quarantine
from keeprate.schemas.decode import ContractError
from keeprate.schemas.lift import gather, lift
from keeprate.schemas.outcome import Outcome, merge
from keeprate.schemas.structs.reading import read

MAX_OUTCOME_BYTES: Final = 1 << 20
"""A suggestion that thousands voted on. Each change writes the whole outcome, and Kafka takes no record of any size."""


class SourceRecord(Protocol):
    """A record of a source topic, as Kafka's clients show it. `timestamp` is in ms, -1 where Kafka has none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that is no event, or that is set aside, with the dead letter that says why."""

    record: SourceRecord
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Sifted:
    """What a batch of records says.

    facts: by suggestion, the merge of all that the batch says of it.
    times_ms: by suggestion, the event time of the latest of that.
    accepted: by app, how many records are events.
    """

    facts: dict[str, Outcome]
    times_ms: dict[str, int]
    refusals: list[RefusedRecord]
    accepted: dict[str, int]


@dataclass(frozen=True, slots=True)
class Step:
    """What a batch changes.

    outcomes: the new state of every suggestion that changed, and of no other.
    unchanged: suggestions of which the batch said nothing new: duplicates and replays.
    orphans_held: outcomes that began without their generation.
    orphans_joined: outcomes that had been without, and now have it.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unchanged: int = 0
    orphans_held: int = 0
    orphans_joined: int = 0


def sift(records: Iterable[SourceRecord]) -> Sifted:
    """Decode a batch: every record ends in the facts or in the refusals."""
    facts: dict[str, Outcome] = {}
    times_ms: dict[str, int] = {}
    refusals: list[RefusedRecord] = []
    accepted: dict[str, int] = defaultdict(int)
    for record in records:
        try:
            event = read(record.value, record.timestamp, record.key)
        except ContractError as error:
            refusals.append(refuse(record, error))
            continue
        accepted[event.app] += 1
        at_ms = event.occurred_at
        for key in gather(facts, event):
            if at_ms > times_ms.get(key, -1):
                times_ms[key] = at_ms
    return Sifted(facts, times_ms, refusals, accepted)


def refuse(record: SourceRecord, error: ContractError) -> RefusedRecord:
    """The refusal of a record, with the place where it stands."""
    timestamp_ms = -1 if record.timestamp is None else record.timestamp
    where = record.topic, record.partition, record.offset, timestamp_ms
    return RefusedRecord(record, dead_letter(error, "join", *where, tuple(record.headers), app_of(record.value)))


def set_aside(record: SourceRecord, error: Exception) -> RefusedRecord:
    """The refusal of a record that is no worse than others, but judging it raised this."""
    timestamp_ms = -1 if record.timestamp is None else record.timestamp
    where = record.topic, record.partition, record.offset, timestamp_ms
    return RefusedRecord(record, quarantine(error, "join", *where, tuple(record.headers), app_of(record.value)))


def refuse_overflow(
    records: Iterable[SourceRecord], refusals: Iterable[RefusedRecord], keys: Set[str]
) -> list[RefusedRecord]:
    """The refusals of the records that speak of suggestions whose outcomes would become too large.

    refusals: those of the same records that were refused before.
    """
    error = ContractError("too_large", f"the suggestion's outcome would exceed {MAX_OUTCOME_BYTES} bytes")
    refused = {id(refusal.record) for refusal in refusals}
    accepted = [record for record in records if id(record) not in refused]
    events = [read(record.value, record.timestamp, record.key) for record in accepted]
    pairs = zip(accepted, events, strict=True)
    return [refuse(record, error) for record, event in pairs if any(key in keys for key, _ in lift(event))]


def join(held: Mapping[str, Outcome], facts: Mapping[str, Outcome]) -> Step:
    """Merge facts into the outcomes that are held. Leaves both as they are."""
    outcomes: dict[str, Outcome] = {}
    counts: Counter[str] = Counter()
    for key, fact in facts.items():
        before = held.get(key)
        after = fact if before is None else merge(before, fact)
        if before == after:
            counts["unchanged"] += 1
            continue
        outcomes[key] = after
        if "generation" not in after:
            counts["orphans_held"] += before is None
        elif before is not None:
            counts["orphans_joined"] += "generation" not in before
    return Step(outcomes, counts["unchanged"], counts["orphans_held"], counts["orphans_joined"])
