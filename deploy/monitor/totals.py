"""The counters: what has been counted in all closed batches, brought up to date from the store."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.sinks.closed import batches
from keeprate.sinks.closed.batches import Labels
from keeprate.sinks.store.clickhouse import Client

EPOCH: Final = datetime.fromtimestamp(0, UTC)
SHOWN_FOR: Final = timedelta(days=30)
"""A series that has counted nothing for so long is not exported: it could only add to the cardinality."""

Values = tuple[str, ...]
"""The values of a metric's labels, without that of the outcome."""


@dataclass
class Total:
    """How many, the sum of what they measured, and when the last of them was."""

    count: int = 0
    total: float = 0.0
    last_at: datetime = EPOCH


Key = tuple[str, Labels, str]
"""Kind, labels, outcome."""


@dataclass
class Totals:
    """Sums over closed batches, and up to when they were read, by kind and app."""

    sums: dict[Key, Total] = field(default_factory=lambda: defaultdict(Total))
    read_until: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def refresh(self, client: Client) -> Mapping[tuple[str, str], datetime]:
        """Add what was closed since the last time, by whomever, and return up to when that is, by kind and app.

        Raises StoreError; whole spans are added then.
        """
        closed = batches.closed_until(client)
        for (kind, app), until in closed.items():
            since = self.read_until.get((kind, app), EPOCH)
            if since < until:
                self.add(batches.stored(client, kind, app, since, until))
                self.read_until[kind, app] = until
        return closed

    def add(self, counts: list[batches.Count]) -> None:
        """Add counts, each once."""
        for each in counts:
            sum_ = self.sums[each.kind, each.labels, each.outcome]
            sum_.count += each.count
            sum_.total += each.total
            sum_.last_at = max(sum_.last_at, each.batch_at)

    def of(self, kind: str) -> dict[tuple[Labels, str], Total]:
        """The sums of one kind, by labels and outcome."""
        return {(labels, outcome): each for (name, labels, outcome), each in self.sums.items() if name == kind}

    def series(
        self, kind: str, values_of: Callable[[Labels], Values], announced: Iterable[Labels] = ()
    ) -> dict[Values, dict[str, Total]]:
        """The sums of one kind by the labels that a metric has, and by outcome: those that are live or announced.

        A series is there with all that it ever counted or it is not there: were what is silent left out of a sum, the
        counter would fall, and Prometheus would take that for a reset.
        """
        found: dict[Values, dict[str, Total]] = {values_of(labels): {} for labels in announced}
        shown = set(found)
        newest = max((each.last_at for each in self.sums.values()), default=EPOCH)
        for (labels, outcome), each in self.of(kind).items():
            values = values_of(labels)
            sum_ = found.setdefault(values, {}).setdefault(outcome, Total())
            sum_.count += each.count
            sum_.total += each.total
            if each.last_at >= newest - SHOWN_FOR:
                shown.add(values)
        return {values: found[values] for values in found if values in shown}

    def kinds(self, prefix: str) -> list[str]:
        """The kinds that begin like this."""
        return sorted({name for name, _, _ in self.sums if name.startswith(prefix)})
