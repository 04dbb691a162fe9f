"""What the benchmarks make of what they see: rates, files and tables."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.bench import results, tables
from tests.bench.join_load import expected, joined, make
from tests.bench.join_pace import rate
from tests.bench.join_profile import Look, Profile, parts_us
from tests.bench.machine import neighbour
from tests.bench.results import Bench, Result, file, load, ratio, result

MACHINE = {"cpu": "one", "cores": "2", "memory": "4 GB", "python": "3"}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "DIRECTORY", tmp_path)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(results, "MACHINE", tmp_path / "machine.json")
    return tmp_path


def test_start_up_is_no_part_of_a_rate() -> None:
    """The clock starts when a fifth is done, however long that took."""
    assert rate([(0.0, 0), (90.0, 10), (100.0, 20), (101.0, 60), (102.0, 100), (110.0, 100)], 100) == 40


def test_progress_in_steps_is_measured_from_step_to_step() -> None:
    """A contender that commits now and then is not credited with what it did before the first step that was seen."""
    assert rate([(0.0, 0), (1.0, 50), (2.0, 50), (3.0, 100)], 100) == 25


def test_a_run_too_short_to_measure_is_an_error() -> None:
    """One step from nothing to everything has no rate."""
    with pytest.raises(ValueError, match="take more of them"):
        rate([(0.0, 0), (1.0, 100)], 100)


def test_the_main_threads_parts_sum_up_to_the_time_of_an_event() -> None:
    """It runs, could run, or waits; other threads run meanwhile, so theirs are no part of it."""
    began = Look(10.0, 200, {"join.main": 1.0, "join.main_ready": 0.5, "join.broker": 7.0})
    ended = Look(14.0, 1_000_200, {"join.main": 3.5, "join.main_ready": 1.0, "join.broker": 8.0})
    parts = parts_us(began, ended)
    assert (parts["join.main"], parts["join.main_ready"], parts["join.main_waits"]) == (2.5, 0.5, 1.0)
    assert (parts["join.broker"], parts["join.librdkafka"]) == (1.0, 0.0)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="only Linux tells of threads")
def test_a_worker_is_looked_at_when_its_clock_starts_and_stops() -> None:
    """What its threads do before the warm-up is over, and after the last event, is no part of the profile."""
    counts, burnt = iter((0, 5, 20, 60, 100)), []

    def done() -> int:
        count = next(counts)
        if count in (60, 100):
            burnt.append(sum(number * number for number in range(300_000)))
        return count

    profile = Profile(100, os.getpid())
    count = profile.watching(done, os.getpid())
    assert profile.parts_us() == {}
    assert [count() for _ in range(5)] == [0, 5, 20, 60, 100]
    parts = profile.parts_us()
    assert 0 < parts["join.main"] <= sum(parts[name] for name in ("join.main", "join.main_ready", "join.main_waits"))
    assert parts["join.rocksdb"] == 0


def test_partial_runs_add_up(elsewhere: Path) -> None:
    """A later run replaces its own names and keeps the others, in the order in which an event travels."""
    file([result("sink.keeprate", "rows/s", [3.0, 1.0, 2.0]), result("join.keeprate", "events/s", [9.0])], MACHINE)
    file([result("join.keeprate", "events/s", [8.0, 7.0])], MACHINE | {"python": "4"})
    assert [(one["name"], one["median"], one["runs"]) for one in load()] == [
        ("join.keeprate", 7.5, 2),
        ("sink.keeprate", 2.0, 3),
    ]


def test_numbers_of_another_machine_are_dropped(elsewhere: Path) -> None:
    """They would be compared with those of this one."""
    file([result("join.quix", "events/s", [1.0])], MACHINE)
    file([result("join.keeprate", "events/s", [9.0])], MACHINE | {"cpu": "two"})
    assert [one["name"] for one in load()] == ["join.keeprate"]


def test_only_rates_of_one_unit_are_compared() -> None:
    """The ratio says how many times as fast ours is, and is absent where that means nothing."""
    ours, peer = result("join.keeprate", "events/s", [90.0]), result("join.quix", "events/s", [30.0])
    size = result("join.bytes_per_pending", "bytes", [300.0])
    everything: list[Result] = [ours, peer, size]
    assert [ratio(one, everything) for one in everything] == [None, 3.0, None]


def test_a_name_is_asked_for_by_itself_or_by_its_group(tmp_path: Path) -> None:
    """`join` asks for `join.quix`, and `jo` for nothing."""
    asked = {only: Bench(1, 1.0, tmp_path, (only,), print).wants("join.quix") for only in ("join", "join.quix", "jo")}
    assert asked == {"join": True, "join.quix": True, "jo": False}


def test_the_readme_is_changed_between_its_marks_only(tmp_path: Path) -> None:
    """What stands around the table stays as it is."""
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{tables.BEGIN}\nold\n{tables.END}\nbelow\n")
    tables.into_readme(readme, r"new \1")
    assert readme.read_text() == f"above\n{tables.BEGIN}\nnew \\1\n{tables.END}\nbelow\n"
    readme.write_text("no marks")
    with pytest.raises(ValueError, match="to write between"):
        tables.into_readme(readme, "new")
    assert readme.read_text() == "no marks"


def test_a_load_is_the_same_each_time(tmp_path: Path) -> None:
    """Two makers of one load agree to the byte, and so on what must come of it."""
    one, other = make(tmp_path / "one", 2_000), make(tmp_path / "other", 2_000)
    assert one.path.read_bytes() == other.path.read_bytes()
    assert expected(one) == expected(other)
    assert 0 < joined(one) < expected(one).outcomes < 2_000
    assert sum(1 for _ in one.records()) == 2_000


def test_what_was_measured_beside_a_neighbour_is_compared_with_its_own_kind() -> None:
    """Ours beside it with a peer beside it, behind all that was measured alone."""
    rates = {"join.keeprate": 90.0, "beside.join.quix": 20.0, "beside.join.keeprate": 60.0, "join.quix": 30.0}
    everything = [result(name, "events/s", [value]) for name, value in rates.items()]
    assert {one["name"]: ratio(one, everything) for one in everything if "quix" in one["name"]} == {
        "join.quix": 3,
        "beside.join.quix": 3,
    }
    lines = tables.markdown(everything, {"join.keeprate": "ours", "join.quix": "theirs"}, MACHINE, "make bench")
    assert [line.split("|")[1].strip() for line in lines.splitlines()[2:6]] == [
        "ours (`join.keeprate`)",
        "theirs (`join.quix`)",
        "ours, beside a process that keeps half a core busy (`beside.join.keeprate`)",
        "theirs, beside a process that keeps half a core busy (`beside.join.quix`)",
    ]


def test_a_neighbour_is_there_until_the_measuring_ends() -> None:
    """It is a process of its own, and leaves none behind."""
    with neighbour():
        assert _children()
    assert not _children()


def _children() -> bytes:
    return subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "monotonic"], capture_output=True).stdout
