"""Records without Kafka, for tests of the sink's pure parts."""

from collections.abc import Sequence
from dataclasses import dataclass

RECORDED_MS = 2_000_000_000_000
"""After all that the tests' events say: what is dated long after its record is refused."""


@dataclass(frozen=True)
class FakeRecord:
    """A record as confluent_kafka shows it."""

    at: int
    body: bytes | None
    name: bytes | None = b"key"
    time_ms: int = RECORDED_MS
    own_headers: Sequence[tuple[str, bytes | None]] | None = None
    source: str = "keeprate.feedback"

    def topic(self) -> str:
        return self.source

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.body

    def timestamp(self) -> tuple[int, int]:
        return 1, self.time_ms

    def headers(self) -> Sequence[tuple[str, bytes | None]] | None:
        return self.own_headers
