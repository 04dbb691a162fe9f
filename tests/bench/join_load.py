"""What the join is measured with: one day of the demo's three apps, and what must come of it.

A load of n events is a day at the rate that makes n of it, so that a small load has the mix of a large one. Generations
have about 1 kB, feedback 300 to 400 bytes; there are duplicates, orphans and late events in it, as the demo has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Final

from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import DAY_MS, World
from keeprate.schemas.decode import decode, encode
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import SOURCES, topic_of

SEED: Final = 20_260_301
START_MS: Final = 1_764_028_800_000
KEY_BYTES: Final = 36
# The traffic of a day is not what the rate says to the last event: so many more are made, and the rest is cut off.
SPARE: Final = 1.3


@dataclass(frozen=True)
class Load:
    """Events in a file, one a line: which source topic, the key, and the value."""

    path: Path
    events: int

    def records(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Topic, key and value of each record, in the order of sending."""
        with self.path.open("rb") as lines:
            for line in lines:
                yield SOURCES[line[0] - 48].name, line[1 : 1 + KEY_BYTES], line[1 + KEY_BYTES : -1]


@dataclass(frozen=True)
class Digest:
    """Of a set of outcomes, whatever their order: how many there are, and the XOR of their hashes."""

    outcomes: int = 0
    hashes: int = 0

    def with_outcome(self, key: bytes, value: bytes) -> "Digest":
        """The digest with one outcome more."""
        hashed = blake2b(key + b"\0" + value, digest_size=8).digest()
        return Digest(self.outcomes + 1, self.hashes ^ int.from_bytes(hashed, "big"))


def make(path: Path, events: int) -> Load:
    """Write a load. The same events each time."""
    world = World.over(SEED, START_MS, 1)
    day = simulate(world, START_MS, START_MS + DAY_MS, events * SPARE * 1000 / DAY_MS)
    with path.open("wb") as file:
        for sent in islice(day, events):
            source = SOURCES.index(topic_of(sent.event["type"]))
            file.write(b"%d%s%s\n" % (source, sent.event["generation_id"].encode(), encode(sent.event)))
    return Load(path, events)


@cache
def expected(load: Load) -> Digest:
    """What `fold` makes of a load: the outcomes that the join must come to."""
    digest = Digest()
    for key, outcome in fold(decode(value) for _, _, value in load.records()).items():
        digest = digest.with_outcome(key.encode(), encode_outcome(key, outcome))
    return digest


def joined(load: Load) -> int:
    """How many generations of a load have feedback in it: what every contender must join."""
    sides: tuple[set[bytes], set[bytes]] = (set(), set())
    for topic, key, _ in load.records():
        sides[topic != SOURCES[0].name].add(key)
    return len(sides[0] & sides[1])
