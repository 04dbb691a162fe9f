"""Do the outcomes say what the facts say (I4)? Every outcome is the fold of its facts (`schemas.outcome`), and every
suggestion what its outcome comes to (`reading`).

What differs can be repaired: the recomputed outcome is inserted, and merges, because outcomes are a join-semilattice.
Two things are no violation, and are told instead. A fact that this version does not read any more stands in its outcome
as an earlier version read it. And of two events under one id (`conflicts`) one is the row, and the outcome has both.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import Outcome, canonical, key_of, merge, parse_key
from keeprate.schemas.topics import DEFAULT_PARTITIONS
from keeprate.sinks.checks.conflicts import Conflict
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.reading.checking import differing
from keeprate.sinks.reading.derive import derive, of_generations
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.upkeep.recompute import (
    GenerationFilter,
    OutcomeDifference,
    Unread,
    apart,
    compare,
    events,
    listed,
    pages,
    recomputed,
    stored,
    unsettled,
    write_apart,
)

MAX_SUSPECTS: Final = 2000
DERIVED_WITHIN_S: Final = 2.0
"""How long after its outcome landed a suggestion is derived, at most, while nothing is in the way."""
_CHUNK_IDS: Final = 200


@dataclass
class Checked:
    """facts: how many were read. checked: how many outcomes were compared. unread: facts that this version refuses."""

    facts: int = 0
    checked: int = 0
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def check_outcomes(
    store: Client,
    settled_s: int = 60,
    repair: Servers | None = None,
    selection: GenerationFilter | None = None,
    second_look: Callable[[Sequence[OutcomeDifference]], list[OutcomeDifference]] | None = None,
    conflicts: Iterable[Conflict] = (),
    on_facts: Callable[[int], None] = lambda facts: None,
) -> Checked:
    """I4, for every generation that got no fact in the last `settled_s` seconds.

    repair: in these servers, which hold the rows, insert the recomputed outcome where the stored one lacks something.
    second_look: given the first `MAX_SUSPECTS` differences, returns those that last: `look_again`.
    conflicts: what else was said under the ids of facts. on_facts: is told how many facts were read so far.
    """
    done, said_too = Checked(), _lifted(conflicts)
    suspected: list[OutcomeDifference] = []
    for page in pages(store, selection or GenerationFilter()):
        before = len(done.unread)
        said = recomputed(_counted(events(store, page, done.unread.append), done))
        held = stored(store, page)
        left_out = unsettled(store, page, settled_s)
        left_out |= {f"{one.app}/{one.generation_id}" for one in done.unread[before:]}
        done.checked += sum(key.rpartition("/")[0] not in left_out for key in said)
        wrong = [one for one in compare(held, said) if one.key.rpartition("/")[0] not in left_out]
        wrong = [one for one in wrong if not _is_explained(one, said_too.get(one.key))]
        if second_look is None:
            done.findings += _findings(wrong)
        suspected += wrong[: MAX_SUSPECTS - len(suspected)]
        if repair:
            write_apart(repair, {one.key: one.recomputed for one in wrong if one.lacks})
        on_facts(done.facts)
    if second_look is not None and suspected:
        done.findings = _findings(second_look(suspected))
    return done


def check_suggestions(
    store: Client,
    settled_s: int = 60,
    repair: Servers | None = None,
    selection: GenerationFilter | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """I4, of suggestions: each is what its outcome comes to, of generations that got no fact in the last `settled_s`.

    repair: derive those that are not, in these servers. sleep: waits until what landed meanwhile is derived.
    """
    suspected: set[tuple[str, str]] = set()
    chosen = selection or GenerationFilter()
    for page in (listed if chosen.spans_time else pages)(store, chosen):
        wrong = {(app, identity) for app, identity, _ in differing(store, page.condition(), page.parameters())}
        if wrong:
            left_out = unsettled(store, page, settled_s)
            wrong = {one for one in wrong if "/".join(one) not in left_out}
            suspected |= set(sorted(wrong)[: MAX_SUSPECTS - len(suspected)])
            if repair:
                for client, ours in apart(repair, wrong):
                    derive(client, ours)
    if suspected and not repair:
        sleep(DERIVED_WITHIN_S)
        still = differing(store, *of_generations(sorted(suspected)))
        return [Finding("I4", key_of(*one), "its suggestion is not what its outcome comes to") for one in still]
    what = "its suggestion was not what its outcome comes to, and is derived again"
    return [Finding("I4", "/".join(one), what) for one in sorted(suspected)]


def look_again(
    store: Client,
    suspected: Sequence[OutcomeDifference],
    settled: Callable[[], Collection[int]],
    partitions: int = DEFAULT_PARTITIONS,
) -> list[OutcomeDifference]:
    """The differences that are none of a pipeline at work.

    settled: waits, and returns the partitions of which all that was written before its call is landed. What facts said
    before must be in the outcomes behind the wait, and what outcomes held before must be in the facts behind it.
    """
    arrived = settled()
    placed = _partitions_of(store, suspected, partitions)
    held, said = _both(store, suspected)
    lasting = []
    for one in suspected:
        now_held, now_said = held.get(one.key, {}), said.get(one.key, {})
        if placed[parse_key(one.key)[1]] not in arrived or now_held == now_said:
            continue
        if canonical(merge(now_held, one.recomputed)) != now_held:
            lasting.append(OutcomeDifference(one.key, now_held, one.recomputed))
        elif canonical(merge(now_said, one.stored)) != now_said:
            lasting.append(OutcomeDifference(one.key, one.stored, now_said))
    return lasting


def _counted(log: Iterator[Event], done: Checked) -> Iterator[Event]:
    for event in log:
        done.facts += 1
        yield event


def _lifted(conflicts: Iterable[Conflict]) -> Mapping[str, Outcome]:
    """What was said under ids that other events have, by the key of the outcome."""
    return fold(event for one in conflicts if (event := one.event()) is not None)


def _is_explained(one: OutcomeDifference, said_too: Outcome | None) -> bool:
    """Whether an outcome holds its facts, and nothing but them and what was said under their ids."""
    if said_too is None or one.lacks:
        return False
    everything = canonical(merge(one.recomputed, said_too))
    return canonical(merge(everything, one.stored)) == everything


def _both(store: Client, suspected: Sequence[OutcomeDifference]) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    by_app: dict[str, set[str]] = defaultdict(set)
    for one in suspected:
        app, generation_id, _ = parse_key(one.key)
        by_app[app].add(generation_id)
    held: dict[str, Outcome] = {}
    said: dict[str, Outcome] = {}
    for app, chosen in by_app.items():
        ids = sorted(chosen)
        for first in range(0, len(ids), _CHUNK_IDS):
            for page in pages(store, GenerationFilter(apps=[app], generations=ids[first : first + _CHUNK_IDS])):
                held |= stored(store, page)
                # Generations with an unread fact are not among the suspected, and none becomes so.
                said |= recomputed(events(store, page, lambda _: None))
    return held, said


def _partitions_of(store: Client, suspected: Sequence[OutcomeDifference], partitions: int) -> dict[str, int]:
    """By generation_id, which is the key of its records."""
    ids = sorted({parse_key(one.key)[1] for one in suspected})
    found: dict[str, int] = {}
    for first in range(0, len(ids), _CHUNK_IDS):
        rows = store.query(
            "SELECT arrayJoin({ids:Array(String)}) AS id, kafkaMurmurHash(id) % {partitions:UInt32}",
            {"ids": ids[first : first + _CHUNK_IDS], "partitions": partitions},
        )
        found |= {str(generation_id): int(partition) for generation_id, partition in rows}
    return found


def _findings(differences: Sequence[OutcomeDifference]) -> list[Finding]:
    return [Finding("I4", one.key, _detail(one)) for one in differences]


def _detail(one: OutcomeDifference) -> str:
    if not one.recomputed:
        return "an outcome without facts"
    return f"{'lacks' if one.lacks else 'has more than'} what the facts say in {', '.join(one.fields)}"
