"""The join's state: how large it is on disk, and how long it takes to have it again."""

import time
import uuid
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from keeprate.deploy.topics import create_topics
from keeprate.schemas.decode import decode, encode
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome, key_of, parse_key
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS, GENERATIONS, OUTCOMES
from tests.bench.join_contenders import WrongError, workers
from tests.bench.join_kafka import Cluster, Record
from tests.bench.join_load import START_MS, Load
from tests.bench.join_pace import follow

PATIENCE_S: Final = 1_800.0
EXAMPLES: Final = 2_000
"""So many different outcomes, each with new ids, make up a changelog of any size."""


def bytes_per_pending(directory: Path) -> float:
    """Bytes on disk for each suggestion in the states below a directory, compacted. Their worker must be down."""
    size_bytes = 0
    for home in _states(directory):
        database = _open(home)
        database.flush()
        database.compact_range(None, None)
        database.close()
        size_bytes += sum(path.stat().st_size for path in home.glob("*.sst"))
    return size_bytes / pending(directory)


def pending(directory: Path) -> int:
    """How many suggestions are in the states below a directory. Their worker must be down."""
    count = 0
    for home in _states(directory):
        database = _open(home)
        keys = database.keys()
        # A key that begins with a zero byte is the state's own, not a suggestion's.
        count += sum(not key.startswith(b"\0") for key in keys)
        database.close()
    return count


def _states(directory: Path) -> list[Path]:
    return [path.parent for path in directory.rglob("CURRENT")]


def _open(home: Path) -> Any:
    from rocksdict import Options, Rdict

    return Rdict(str(home), options=Options(raw_mode=True))


def write_changelog(cluster: Cluster, load: Load, suggestions: int) -> None:
    """Fresh topics, and a changelog of so many suggestions in the sizes and shapes of the load's."""
    cluster.delete(topic.name for topic in ALL)
    create_topics(cluster.bootstrap, DEFAULT_PARTITIONS)
    cluster.produce(_outcomes(load, suggestions))


def _outcomes(load: Load, suggestions: int) -> Iterator[Record]:
    outcomes = fold(decode(value) for _, _, value in load.records())
    examples = []
    for key, outcome in islice(outcomes.items(), EXAMPLES):
        app, generation_id, index = parse_key(key)
        examples.append((app, index, generation_id.encode(), encode_outcome(key, outcome)))
    for number, (app, index, old_id, value) in enumerate(islice(cycle(examples), suggestions)):
        new_id = str(uuid.UUID(int=(START_MS + number // 100) << 80 | 0x7 << 76 | 0b10 << 62 | number))
        yield OUTCOMES.name, key_of(app, new_id, index).encode(), value.replace(old_id, new_id.encode())


def recovery_s(cluster: Cluster, directory: Path, suggestions: int, number: int, say: Callable[[str], None]) -> float:
    """Seconds from the start of a worker without a state until it has all of it and joins again.

    An event waits for it in the source topic; its outcome is the sign. Raises WrongError when the state is not whole.
    """
    group = f"bench-recovery-{time.time_ns()}"
    written = cluster.written(OUTCOMES.name)
    before = written()
    cluster.produce([_sign(group, number)])
    started_s = time.monotonic()
    with workers(cluster, directory, 1, group) as children:
        follow(lambda: written() - before, 1, children, say, PATIENCE_S)
        elapsed_s = time.monotonic() - started_s
    if (found := pending(directory)) < suggestions:
        raise WrongError(f"{found} suggestions were recovered of {suggestions}")
    return elapsed_s


def _sign(group: str, number: int) -> Record:
    generation_id = str(uuid.UUID(int=number + 1))
    event = {
        "type": "generation",
        "event_id": generation_id,
        "schema_version": 1,
        "occurred_at": START_MS,
        "app": group,
        "generation_id": generation_id,
    }
    return GENERATIONS.name, generation_id.encode(), encode(event)
