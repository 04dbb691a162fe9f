"""Each record is judged in a place of its own: whatever one of them raises sets that record aside, and no other.

A batch is sifted and joined as a whole, which is fast. Where that raises, whatever it is, the batch is judged again,
record by record: those that raise are quarantined, and the outcomes of the others are what they would be without them.
Pure, but for what it is given: to look up is another's business, and an error of that is no record's.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from keeprate.schemas.decode import ContractError
from keeprate.schemas.lift import lift
from keeprate.schemas.outcome import Outcome, encode_outcome, merge
from keeprate.schemas.structs.reading import read
from keeprate.streams.join.feedback_join import Sifted, SourceRecord, Step, join, refuse, set_aside, sift

logger = logging.getLogger(__name__)

LookUp = Callable[[list[str]], Mapping[str, Outcome]]
"""What is held of suggestions, by key."""


class EndedProcessError(Exception):
    """A record at which the process ended, again and again: there is no exception to say more."""


class Crashes(Protocol):
    """Who knows at which records the process ended: `crashes.CrashJournal`."""

    def is_condemned(self, record: SourceRecord) -> bool:
        """Whether to set the record aside unjudged."""

    def judging(self, record: SourceRecord) -> None:
        """Know that this record is judged next, and alone."""

    def together(self) -> None:
        """Know that the whole batch is worked on."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a batch comes to.

    held: what was known of the suggestions it speaks of.
    encoded: by key, the outcomes of the step.
    """

    sifted: Sifted
    held: Mapping[str, Outcome]
    step: Step
    encoded: dict[bytes, bytes]


def judge(records: Sequence[SourceRecord], look_up: LookUp) -> Judged:
    """Sift and join a batch as a whole; record by record where that raises."""
    try:
        sifted = sift(records)
    except MemoryError:
        # It says nothing of the record.
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is found again at the record that raises it
        logger.info("a batch is judged record by record: %r", error)
        return judge_each(records, look_up)
    held = look_up(list(sifted.facts))
    try:
        step = join(held, sifted.facts)
        return Judged(sifted, held, step, _encode(step.outcomes))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        logger.info("a batch is joined record by record: %r", error)
        return judge_each(records, look_up)


def judge_each(records: Iterable[SourceRecord], look_up: LookUp, watch: Crashes | None = None) -> Judged:
    """The same, record by record. watch: is told of each before it is judged."""
    each = _Each(look_up)
    for record in records:
        if watch is not None and watch.is_condemned(record):
            each.quarantine(record, EndedProcessError("the process ended here, again and again"))
            continue
        if watch is not None:
            watch.judging(record)
        each.take(record)
    if watch is not None:
        watch.together()
    step = join(each.held, each.sifted.facts)
    return Judged(each.sifted, each.held, step, _encode(step.outcomes))


class _Each:
    """What the records taken so far come to. A fact in `sifted` holds all that is known of its suggestion."""

    def __init__(self, look_up: LookUp) -> None:
        self.held: dict[str, Outcome] = {}
        self.sifted = Sifted({}, {}, [], defaultdict(int))
        self._look_up = look_up
        self._looked_up: set[str] = set()
        self._traces: set[str] = set()

    def take(self, record: SourceRecord) -> None:
        """All that a record says, or nothing of it."""
        try:
            event = read(record.value, record.timestamp, record.key)
            facts = lift(event)
        except MemoryError:
            raise
        except ContractError as error:
            self.sifted.refusals.append(refuse(record, error))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this record's
            self.quarantine(record, error)
            return
        # An error of the state is no record's.
        self.held.update(self._look_up([key for key, _ in facts if key not in self._looked_up]))
        self._looked_up.update(key for key, _ in facts)
        known = self.sifted.facts
        try:
            merged = {key: merge(known.get(key) or self.held.get(key) or {}, fact) for key, fact in facts}
            _encode(merged)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self.quarantine(record, error)
            return
        known.update(merged)
        at_ms, times_ms = event.occurred_at, self.sifted.times_ms
        times_ms.update({key: max(at_ms, times_ms.get(key, at_ms)) for key in merged})
        self.sifted.accepted[event.app] += 1

    def quarantine(self, record: SourceRecord, error: Exception) -> None:
        """Set a record aside. The log has the whole trace once for each fault."""
        refusal = set_aside(record, error)
        trace, where = refusal.letter.trace, (record.topic, record.partition, record.offset)
        details = None if trace in self._traces else error
        logger.error("%s/%s/%s is set aside, trace %s: %s", *where, trace, refusal.letter.reason, exc_info=details)
        self._traces.add(trace)
        self.sifted.refusals.append(refusal)


def _encode(outcomes: Mapping[str, Outcome]) -> dict[bytes, bytes]:
    return {key.encode(): encode_outcome(key, outcome) for key, outcome in outcomes.items()}
