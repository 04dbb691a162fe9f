"""A trial whose records are outcomes in parts, and the account of what is derived and counted from them."""

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from keeprate.deploy.local.process import ChildProcess
from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold, lift
from keeprate.schemas.outcome import encode_outcome, parse_key
from keeprate.schemas.topics import OUTCOMES
from keeprate.sinks.reading import hours, queries
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.upkeep.recompute import write
from tests.fault.lab import Lab
from tests.fault.trial import Together, Trial
from tests.landing import end_offsets, ledger_faults, ledger_ranges
from tests.streaming import BASE_MS, produce, story

SUGGESTIONS: Final = 60
"""What one load is about."""
_HOURS: Final = 30
_SINCE: Final = datetime.fromtimestamp(BASE_MS / 1000, UTC) - timedelta(days=1)
_SCOPES: Final = tuple(
    Scope(_SINCE, _SINCE + timedelta(days=9), _SINCE + timedelta(days=90), by, {}, bucket_s)
    for by, bucket_s in ((("app", "model"), 3600), (("model",), 86_400), ((), 0))
)
_DERIVED: Final = ("suggestions", "outcomes", "hour_marks", "moves")


@dataclass(frozen=True)
class Wrong:
    """lost: suggestions that are not what all their facts come to. extra: those of which there is no fact.

    unaccounted: what the ledger does not explain. answers: those that are other ones than of the same facts at once.
    """

    lost: list[str]
    extra: list[str]
    unaccounted: list[str]
    answers: list[str]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.extra or self.unaccounted or self.answers)


class ReadingTrial(Trial):
    """Enter it: its sinks land outcomes. sabotage: names of `harm`, for all of its processes."""

    KIND: ClassVar[str] = OUTCOMES.name

    def __init__(self, lab: Lab, seed: int, together: Together, sabotage: tuple[str, ...] = ()) -> None:
        super().__init__(lab, seed, together)
        self._sabotage = list(sabotage)
        self._log: list[Event] = []
        self.marker = lab.directory / f"{self.name}-done"

    def load(self, count: int = SUGGESTIONS) -> None:
        """Write what is said of so many suggestions, and more of some before, each fact by itself.

        Some feedback comes hours after its generation, so a suggestion leaves its hour when its generation arrives.
        """
        log = [self._moved(event) for event in story(self.rng, "editor", count, BASE_MS)]
        log += [self._check(event) for event in log if event.get("action") == "accept"]
        before = self.rng.sample(self._log, min(len(self._log), count))
        log += [self._later(event) for event in before] + before[: count // 4]
        self._log += log
        facts = [fact for event in log for fact in lift(event)]
        self.rng.shuffle(facts)
        produce(self.lab.broker.bootstrap, [(self.topic, self._key(fact[0]), encode_outcome(*fact)) for fact in facts])
        self.events += len(facts)

    def _key(self, key: str) -> bytes:
        """Of half of the suggestions all parts land by one partition, of the others by any."""
        return key.encode() if int(parse_key(key)[1][0], 16) % 2 else self.rng.randbytes(8)

    def _moved(self, event: Event) -> Event:
        at = random.Random(event["generation_id"]).randrange(_HOURS)
        later = self.rng.choice((0, 0, 2, 25)) if event["type"] != "generation" else 0
        return event | {"occurred_at": event["occurred_at"] + (at + later) * HOUR_MS}

    def _check(self, accept: Event) -> Event:
        found = {"status": "present", "original_length": 9, "current_length": 9, "distance": self.rng.choice((0, 2, 9))}
        when = {"horizon_s": 300, "elapsed_ms": 300_000, "occurred_at": accept["occurred_at"] + 300_000}
        return self._about(accept, {"type": "retention_check"} | when | found)

    def _later(self, event: Event) -> Event:
        said = {"type": "action", "action": self.rng.choice(("accept", "shown", "undo", "copy"))}
        return self._about(
            event, said | {"length": self.rng.randrange(90, 200), "occurred_at": event["occurred_at"] + 50}
        )

    def _about(self, event: Event, body: dict[str, Any]) -> Event:
        """Another event about the suggestion of one."""
        own = {"event_id": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), "schema_version": 1}
        same = {"app": event["app"], "generation_id": event["generation_id"], "user": event.get("user")}
        return validate(own | same | body)

    def sink(self, at: tuple[int, int, str] | None = None, instance: str = "", **more: Any) -> ChildProcess:
        """A sink, which derives with what the trial's sabotage leaves of the rules."""
        return super().sink(at, instance, **{"reading": self._sabotage, "max_rows": 1000} | more)

    def child(self, do: str, **options: Any) -> ChildProcess:
        """A process that sums hours or builds suggestions anew, started."""
        log = self.lab.directory / f"{self.name}-{do}-{len(self.sinks)}.log"
        options |= {"do": do, "store_url": self.store_url, "sabotage": self._sabotage}
        child = self.lab.nest.child(do, "tests.fault.reading.children", options, log)
        self.sinks.append(child)
        child.start()
        return child

    def lose_sums(self) -> None:
        """The cache is gone, as a whole."""
        with connect(self.store_url) as client:
            for table in _sums():
                client.command(f"TRUNCATE TABLE {table}")

    def wrong(self) -> Wrong:
        """End the processes, and compare what is there with the same facts, derived at once and summed nowhere."""
        self.end()
        ends = end_offsets(self.lab.broker.bootstrap, (self.topic,))
        with connect(self.store_url) as client:
            unaccounted = ledger_faults(ledger_ranges(client, self.group), ends)
            found, answers = _suggestions(client), [_answers(client, scope) for scope in _SCOPES]
            for table in (*_DERIVED, *_sums()):
                client.command(f"TRUNCATE TABLE {table}")
            write(client, fold(self._log))
            wanted, right = _suggestions(client), [_answers(client, scope) for scope in _SCOPES]
        lost = [key for key in wanted if found.get(key) != wanted[key]]
        other = [
            f"{scope}: {said}, not {true}"
            for scope, said, true in zip(_SCOPES, answers, right, strict=True)
            if said != true
        ]
        return Wrong(lost, sorted(found.keys() - wanted.keys()), unaccounted, other)


def _sums() -> tuple[str, ...]:
    return hours.summed_table(), hours.sums_table(), hours.checks_table()


def _suggestions(client: Client) -> dict[str, int]:
    """A digest of each suggestion, whenever it was derived."""
    rows = client.query(
        "SELECT concat(toString(generation_id), '/', toString(choice_index)), cityHash64(tuple(* EXCEPT derived_at)) "
        "FROM suggestions FINAL"
    )
    return {str(key): int(digest) for key, digest in rows}


def _answers(client: Client, scope: Scope) -> list[Any]:
    rows = [*queries.counted(client, scope), *queries.counted_at_horizons(client, scope)]
    return sorted(repr(sorted(row.items(), key=lambda item: item[0])) for row in rows)
