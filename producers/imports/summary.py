"""What an imported history comes to, by who wrote it: a first look that needs no stack."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from keeprate.producers.imports.survival import DAY_S
from keeprate.schemas.events import Event


@dataclass
class KeptCount:
    """Of the suggestions that are old enough for a horizon: how many, how many untouched, and their code units."""

    suggestions: int = 0
    unchanged: int = 0
    units: int = 0
    units_kept: int = 0

    def as_json(self) -> dict[str, Any]:
        """With the two rates; a rate of nothing is null."""
        return {
            "suggestions": self.suggestions,
            "unchanged_rate": self.unchanged / self.suggestions if self.suggestions else None,
            "units_kept_rate": self.units_kept / self.units if self.units else None,
        }


@dataclass
class ImportSummary:
    """Counts over the events of an import. `kept` is by author and horizon in days."""

    events: int = 0
    suggestions: Counter[str] = field(default_factory=Counter)
    kept: dict[str, dict[int, KeptCount]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(KeptCount)))
    _author_by_generation: dict[str, str] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Count an event; a suggestion's generation comes before its checks."""
        self.events += 1
        if event["type"] == "generation":
            author = event.get("model") or ""
            self.suggestions[author] += 1
            self._author_by_generation[event["generation_id"]] = author
        elif event["type"] == "retention_check":
            author = self._author_by_generation[event["generation_id"]]
            kept = self.kept[author][(event.get("horizon_s") or 0) // DAY_S]
            kept.suggestions += 1
            kept.unchanged += event.get("distance") == 0
            kept.units += event.get("original_length") or 0
            kept.units_kept += event.get("retained_length") or 0

    def as_json(self) -> dict[str, Any]:
        """For machines: by author, then by day."""
        return {
            author: {
                "suggestions": count,
                "days": {str(day): kept.as_json() for day, kept in sorted(self.kept.get(author, {}).items())},
            }
            for author, count in self.suggestions.most_common()
        }
