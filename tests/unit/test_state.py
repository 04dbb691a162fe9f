"""Facts about a partition's state on disk, when its process ends well and when it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from keeprate.streams.state.partition import RocksState, StateLockedError

KEYS = [f"k{number}".encode() for number in range(40)]
# A MB each, until RocksDB has put some of it on disk and holds the rest in memory.
WRITER = f"""
import itertools, os, signal, sys
from pathlib import Path
from keeprate.streams.state.partition import RocksState
state = RocksState(Path(sys.argv[1]))
for number in itertools.count():
    state.write({{key: b"%d-" % number + bytes(25_000) for key in {KEYS!r}}}, number)
    if len(list(Path(sys.argv[1]).glob("*.sst"))) > 1:
        break
print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def written(state: RocksState) -> set[bytes]:
    """The numbers of the writes that left something."""
    return {value.partition(b"-")[0] for value in state.get_many(KEYS) if value}


def test_a_killed_process_leaves_the_state_of_its_offset(tmp_path: Path) -> None:
    """The last writes may be lost, together with their offset; a recovery goes on from there."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "0")]
    last = int(subprocess.run(command, check=False, capture_output=True, text=True).stdout)
    state = RocksState(tmp_path / "0")
    # Even the first file may have been on its way only.
    assert state.offset is None or 0 <= state.offset <= last
    assert written(state) == (set() if state.offset is None else {str(state.offset).encode()})
    state.close()


def test_a_closed_state_is_there_again(tmp_path: Path) -> None:
    """All of it, with its offset; an older offset does not move it back."""
    state = RocksState(tmp_path / "0")
    state.write(dict.fromkeys(KEYS, b"1-"), 7)
    state.write({KEYS[0]: None}, 3)
    state.close()
    again = RocksState(tmp_path / "0")
    assert again.offset == 7
    assert again.get_many(KEYS) == [None, *[b"1-"] * (len(KEYS) - 1)]
    again.close()


def test_a_state_has_one_owner(tmp_path: Path) -> None:
    """A second worker on the same directory is told to take another."""
    state = RocksState(tmp_path / "0")
    with pytest.raises(StateLockedError, match="--data-dir"):
        RocksState(tmp_path / "0")
    state.close()
