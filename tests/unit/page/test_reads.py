"""What a screen reads, and when."""

import threading
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.selection import parse
from keeprate.sinks.reading import queries, splitting

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_screen_reads_retention_beside_the_other_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the other to be under way, and both are asked once, however many parts need them."""
    both, asked = threading.Barrier(2, timeout=30), list[str]()

    def answer(name: str) -> Any:
        def ask(*_: Any) -> list[Any]:
            asked.append(name)
            both.wait()
            return [{"era": "now", "bucket_ms": 0}]

        return ask

    monkeypatch.setattr(splitting, "known", lambda *_: asked.append("known"))
    monkeypatch.setattr(queries, "counted", answer("counted"))
    monkeypatch.setattr(queries, "counted_at_horizons", answer("horizons"))
    reads = Reads(cast(Any, None), NOW, Recent(lambda: 0.0))
    selection = parse({"period": "7d"})
    reads.begin(selection)
    for _ in range(2):
        reads.counts(selection, "now")
        reads.at_horizons(selection, "now")
    assert sorted(asked) == ["counted", "horizons", "known"]
