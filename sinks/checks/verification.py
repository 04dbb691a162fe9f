"""All checks of the store and of Kafka in one pass: what `keeprate verify` runs once, and the monitor again and again.

**Invariant:** a busy pipeline is no fault. What could be on its way is left out, or looked at again when it is there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from keeprate.schemas.topics import DEFAULT_PARTITIONS, JOIN_GROUP
from keeprate.sinks.checks.accounting import MAX_OFFSETS, RecordReader, accounted, check_accounting, check_ledger
from keeprate.sinks.checks.agreement import Agreement, judge, suspects
from keeprate.sinks.checks.backwards import (
    SOURCE_NAMES,
    GroupPartition,
    Position,
    check_history,
    check_offsets,
    offset_findings,
)
from keeprate.sinks.checks.conflicts import Conflict, repeated
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.checks.places import check_places
from keeprate.sinks.checks.settling import PATIENCE_S, settled_partitions
from keeprate.sinks.checks.sums import check_sums
from keeprate.sinks.checks.verify import Checked, check_outcomes, check_suggestions, look_again
from keeprate.sinks.kafka.positions import Positions
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.upkeep.recompute import GenerationFilter, Unread, count_facts

ALL: Final = GenerationFilter()
STAGES: Final = ("offsets", "generations", "facts")
"""What a verification goes through, one after the other."""

OnStage = Callable[[str, int, int], None]
"""Is told which stage it is, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Kafka:
    """Kafka as the checks ask it. patience_s: how long to wait for what is on its way."""

    reader: RecordReader
    positions: Positions
    join_group: str = JOIN_GROUP
    patience_s: float = PATIENCE_S

    def settled(self, store: Client) -> frozenset[int]:
        """See `settled_partitions`."""
        return settled_partitions(store, self.positions, self.patience_s, self.join_group)

    def partitions(self) -> int:
        """How many partitions the topics of facts have. Raises BrokerUnavailableError."""
        return len({partition for _, partition in self.positions.ends(SOURCE_NAMES)}) or DEFAULT_PARTITIONS


@dataclass(frozen=True)
class CheckScope:
    """What to check: events that occurred, and ranges that were stored, in [since, until); None means all.

    settled_s: leave out generations that got a fact so recently. repair: insert recomputed outcomes.
    max_facts: of more than so many facts only a share, which the hash of a generation's id chooses. turn: which share.
    """

    since: datetime | None = None
    until: datetime | None = None
    settled_s: int = 60
    repair: bool = False
    max_facts: int | None = None
    turn: int = 0


@dataclass(frozen=True)
class VerifyReport:
    """What was compared and what was found. shares: one in so many generations was looked at.

    conflicts: events whose id another one has, which says something else. unread: facts that this version does not
    take. Of both, outcomes hold what they were when they were joined.
    """

    findings: list[Finding]
    positions: list[Position]
    agreements: list[Agreement]
    ranges: int
    offsets: int
    outcomes: int
    shares: int
    conflicts: list[Conflict] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def verify(
    store: Client,
    kafka: Kafka | None,
    scope: CheckScope | None = None,
    earlier: Mapping[GroupPartition, int] | None = None,
    on_stage: OnStage = lambda stage, done, total: None,
    servers: Servers | None = None,
) -> VerifyReport:
    """Run every check. Changes nothing unless `scope.repair`.

    kafka: None where there is none to ask: then duplicates look like losses, offsets are not compared, and facts alone
    say what is settled. earlier: what was committed at the last time. servers: those that hold the rows, where `store`
    does not; whether each row is on its own is looked at too. Raises StoreError and BrokerError.
    """
    scope, servers = scope or CheckScope(), servers or Servers([store])
    repair = servers if scope.repair else None
    ranges, offsets = accounted(store, scope.since)
    looked_at = MAX_OFFSETS if scope.max_facts else None
    findings = check_ledger(store, scope.since) + check_history(store, scope.since)
    reader = kafka.reader if kafka else None
    nowhere, conflicts = check_accounting(store, reader, scope.since, looked_at, partial(on_stage, "offsets"))
    findings += nowhere
    found = check_offsets(store, kafka.positions, kafka.join_group) if kafka else []
    findings += offset_findings(found, earlier)
    selection = _selection(store, scope)
    conflicts += repeated(store, selection)
    agreements, differing = _agreement(store, kafka, selection, scope.settled_s, on_stage)
    outcomes = _outcomes(store, kafka, selection, scope.settled_s, repair, conflicts, on_stage)
    # After the outcomes were repaired: suggestions are derived from them.
    derived = check_suggestions(store, scope.settled_s, repair, selection)
    derived += check_sums(store, repair, scope.since, scope.until) + check_places(servers)
    findings = sorted([*findings, *differing, *outcomes.findings, *derived], key=lambda finding: finding.check)
    counts = (ranges, offsets, outcomes.checked, selection.shares)
    return VerifyReport(findings, found, agreements, *counts, conflicts, outcomes.unread)


def _selection(store: Client, scope: CheckScope) -> GenerationFilter:
    selection = GenerationFilter(since=scope.since, until=scope.until)
    if scope.max_facts is None:
        return selection
    shares = max(1, -(-count_facts(store, selection) // scope.max_facts))
    return GenerationFilter(since=scope.since, until=scope.until, shares=shares, share=scope.turn % shares)


def _agreement(
    store: Client, kafka: Kafka | None, selection: GenerationFilter, settled_s: int, on_stage: OnStage
) -> tuple[list[Agreement], list[Finding]]:
    partitions = kafka.partitions() if kafka else DEFAULT_PARTITIONS
    found = suspects(store, selection, partitions, settled_s)
    compared = sum(found.facts.values())
    on_stage("generations", compared, compared)
    return judge(store, found, partial(kafka.settled, store) if kafka else lambda: frozenset(range(2**16)))


def _outcomes(
    store: Client,
    kafka: Kafka | None,
    selection: GenerationFilter,
    settled_s: int,
    repair: Servers | None,
    conflicts: Sequence[Conflict],
    on_stage: OnStage,
) -> Checked:
    total, second_look = count_facts(store, selection), None
    # Repairing is safe while records are on their way, and leaves nothing to look at again.
    if kafka is not None and repair is None:
        settled, partitions = partial(kafka.settled, store), kafka.partitions()
        second_look = partial(look_again, store, settled=settled, partitions=partitions)

    # All facts of a generation are read, also those that are not of the span.
    def on_facts(facts: int) -> None:
        on_stage("facts", facts, max(facts, total))

    return check_outcomes(store, settled_s, repair, selection, second_look, conflicts, on_facts)
