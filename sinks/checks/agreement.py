"""Stream and facts agree (I7): every generation that has a fact has an outcome, and the other way round.

What differs at first is looked at again once both sides have arrived (`settling`): facts read before the wait must have
an outcome behind it, and outcomes read before must have a fact. A partition that lags is not judged but counted.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final

from keeprate.schemas.topics import DEFAULT_PARTITIONS
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.landing.rows import OUTCOMES_TABLE
from keeprate.sinks.store.clickhouse import Client, to_ms
from keeprate.sinks.upkeep.recompute import FACTS, FactsPage, GenerationFilter, pages

MAX_SUSPECTS: Final = 2000
"""So many are looked at again. Beyond, something is badly wrong, and more of them would not say it better."""
CHUNK_IDS: Final = 200
_SHOWN: Final = 3
_LAST_MS: Final = 253_402_300_799_999
_NEVER: Final = datetime(2200, 1, 1, tzinfo=UTC)

Generation = tuple[str, str]
"""App and generation_id."""
Place = tuple[int, date]
"""Partition and day: that of the first fact; of an outcome without facts, that of its id."""


@dataclass(frozen=True)
class Agreement:
    """What was compared of one partition and day.

    facts: generations that have facts. missing: those of them without an outcome. orphans: generations that have an
    outcome and no fact. waiting: those that differ and could not be judged, because their partition lags.
    """

    partition: int
    day: date
    facts: int = 0
    missing: int = 0
    orphans: int = 0
    waiting: int = 0


@dataclass
class Suspects:
    """Generations with one side only, as they were first seen, by where they are."""

    facts: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    missing: dict[Generation, Place] = field(default_factory=dict)
    orphans: dict[Generation, Place] = field(default_factory=dict)
    beyond: dict[Place, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, to: dict[Generation, Place], found: Mapping[Generation, Place]) -> None:
        """Take up what differs, as far as there is room."""
        for generation, place in found.items():
            if generation in to or len(to) < MAX_SUSPECTS:
                to[generation] = place
            else:
                self.beyond[place] += 1


def suspects(
    store: Client, selection: GenerationFilter, partitions: int = DEFAULT_PARTITIONS, settled_s: int = 60
) -> Suspects:
    """Everything selected that has one side only.

    settled_s: leave out generations that got a fact so recently. Where a time selects, outcomes without facts are those
    whose id, a UUIDv7, is of that time.
    """
    found = Suspects()
    for page in pages(store, selection):
        with_facts, fresh = _facts(store, page, settled_s)
        outcomes = _outcomes(store, page)
        for generation, place in with_facts.items():
            found.facts[place] += generation not in fresh
        alone = {each: at for each, at in with_facts.items() if each not in outcomes and each not in fresh}
        found.add(found.missing, alone)
        if not selection.spans_time:
            found.add(found.orphans, _dated(outcomes, with_facts, partitions))
    for page in _pages_by_id(store, selection):
        # Outcomes first: a fact that lands in between is no orphan's.
        outcomes = _outcomes(store, page)
        found.add(found.orphans, _dated(outcomes, _facts(store, page, settled_s)[0], partitions))
    return found


def judge(
    store: Client, found: Suspects, settled: Callable[[], Collection[int]]
) -> tuple[list[Agreement], list[Finding]]:
    """Look again at suspects, and only at them.

    settled: waits, and returns the partitions of which all that was written before its call is landed on both sides.
    """
    lines = {place: Agreement(*place, facts=count) for place, count in found.facts.items()}
    for place, count in found.beyond.items():
        _count(lines, place, waiting=count)
    if not found.missing and not found.orphans:
        return _ordered(lines), []
    arrived = settled()
    missing = _still(found.missing, _present(store, found.missing, (OUTCOMES_TABLE.name,)))
    orphans = _still(found.orphans, _present(store, found.orphans, FACTS))
    findings = _findings("have facts and no outcome", missing, arrived)
    findings += _findings("have an outcome and no fact", orphans, arrived)
    for place, generations in missing.items():
        number = len(generations)
        _count(lines, place, **{"missing" if place[0] in arrived else "waiting": number})
    for place, generations in orphans.items():
        number = len(generations)
        _count(lines, place, **{"orphans" if place[0] in arrived else "waiting": number})
    return _ordered(lines), findings


def _pages_by_id(store: Client, selection: GenerationFilter) -> Iterator[FactsPage]:
    if selection.spans_time:
        since, until = selection.since or datetime.fromtimestamp(0, UTC), selection.until or _NEVER
        ids = to_ms(since) << 80, (to_ms(until) << 80) - 1
        yield from pages(store, replace(selection, since=None, until=None), ids=ids)


def _facts(store: Client, page: FactsPage, settled_s: int) -> tuple[dict[Generation, Place], set[Generation]]:
    """The generations of a page that have facts, and those of them that got one just now."""
    # A refused record may be a row all the same: what the join refuses, the sink may take.
    union = " UNION ALL ".join(
        "SELECT generation_id, partition, occurred_at, stored_at, (topic, partition, offset) GLOBAL IN ("
        "SELECT topic, partition, offset FROM dead_letters WHERE stage != 'sink') AS refused "
        f"FROM {table} WHERE {page.condition()}"
        for table in FACTS
    )
    rows = store.query(
        "SELECT toString(generation_id), min(partition), toDate32(min(occurred_at)), "
        f"max(stored_at) > now64(3) - toIntervalSecond({{settled_s:UInt32}}) FROM ({union}) "
        "WHERE NOT refused GROUP BY generation_id",
        {**page.parameters(), "settled_s": settled_s},
    )
    found = {(page.app, str(generation)): (int(partition), day) for generation, partition, day, _ in rows}
    return found, {(page.app, str(generation)) for generation, _, _, fresh in rows if fresh}


def _outcomes(store: Client, page: FactsPage) -> dict[Generation, int]:
    """The generations of a page that have outcomes, with the hash of Kafka's partitioner."""
    rows = store.query(
        "SELECT DISTINCT toString(generation_id), kafkaMurmurHash(toString(generation_id)) "
        f"FROM {OUTCOMES_TABLE.name} WHERE {page.condition()}",
        page.parameters(),
    )
    return {(page.app, str(generation)): int(hashed) for generation, hashed in rows}


def _dated(
    outcomes: Mapping[Generation, int], with_facts: Collection[Generation], partitions: int
) -> dict[Generation, Place]:
    return {
        each: (hashed % partitions, _day_of(each[1])) for each, hashed in outcomes.items() if each not in with_facts
    }


def _day_of(generation_id: str) -> date:
    """The day inside a UUIDv7; of another id it means nothing, and the epoch's day says so.

    Anybody may make up an id, and 48 bits of milliseconds reach beyond the years that there are.
    """
    moment_ms = int(generation_id.replace("-", ""), 16) >> 80 if generation_id[14] == "7" else 0
    return datetime.fromtimestamp(moment_ms / 1000 if moment_ms <= _LAST_MS else 0, UTC).date()


def _present(store: Client, suspected: Iterable[Generation], tables: Sequence[str]) -> set[Generation]:
    by_app: dict[str, list[str]] = defaultdict(list)
    for app, generation_id in suspected:
        by_app[app].append(generation_id)
    found: set[Generation] = set()
    for app, ids in by_app.items():
        for first in range(0, len(ids), CHUNK_IDS):
            chosen = GenerationFilter(generations=ids[first : first + CHUNK_IDS])
            for table in tables:
                rows = store.query(
                    f"SELECT DISTINCT toString(generation_id) FROM {table} "
                    f"WHERE app = {{app:String}} AND {chosen.condition()}",
                    {**chosen.parameters(), "app": app},
                )
                found.update((app, str(generation)) for (generation,) in rows)
    return found


def _still(suspected: Mapping[Generation, Place], present: Collection[Generation]) -> dict[Place, list[Generation]]:
    left: dict[Place, list[Generation]] = defaultdict(list)
    for generation, place in suspected.items():
        if generation not in present:
            left[place].append(generation)
    return left


def _findings(what: str, left: Mapping[Place, Sequence[Generation]], arrived: Collection[int]) -> list[Finding]:
    return [
        Finding(
            "I7",
            f"partition {partition}, {day}",
            f"{len(each)} generations {what}: {', '.join('/'.join(one) for one in sorted(each)[:_SHOWN])}"
            f"{', …' if len(each) > _SHOWN else ''}",
        )
        for (partition, day), each in sorted(left.items())
        if partition in arrived
    ]


def _count(lines: dict[Place, Agreement], place: Place, **more: int) -> None:
    line = lines.get(place) or Agreement(*place)
    lines[place] = replace(line, **{name: getattr(line, name) + number for name, number in more.items()})


def _ordered(lines: Mapping[Place, Agreement]) -> list[Agreement]:
    return [lines[place] for place in sorted(lines)]
