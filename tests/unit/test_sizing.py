"""Sizes follow from measurements: more takes more, and the constants are those of README's table."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from keeprate.deploy import sizing
from keeprate.deploy.sizing import Load, size

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def _measured(name: str) -> float:
    row = next(line for line in README.splitlines() if f"(`{name}`)" in line)
    return float(row.split("|")[2].strip().replace(",", ""))


@pytest.mark.parametrize(
    ("constant", "measured"),
    [
        (sizing.JOIN_EVENTS_PER_S, _measured("join.keeprate")),
        (sizing.SINK_ROWS_PER_S, _measured("sink.keeprate")),
        (sizing.DERIVED_PER_S, 50_000 / _measured("read.landing")),
        (sizing.PENDING_BYTES, _measured("join.bytes_per_pending")),
        (sizing.RECOVERED_PER_S, 1_000_000 / _measured("join.recovery")),
    ],
)
def test_what_is_planned_with_was_measured(constant: float, measured: float) -> None:
    """A table that was taken anew may be better; half of it, or less, and sizes are wrong."""
    assert constant <= 1.3 * measured


def test_the_arithmetic_is_the_one_that_the_page_shows() -> None:
    """A million suggestions a day, by hand: 69 events a second, 208 at the peak."""
    found = size(Load(1_000_000))
    assert (found.events_per_s, found.peak_events_per_s) == (70, 209)
    assert (found.workers, found.sinks, found.partitions, found.store_cores) == (1, 1, 4, 2)
    assert found.kafka_disk_gib == round(1e6 * 6 * 1500 * 0.5 * 30 * 3 / 2**30 + 0.5)


def test_more_takes_more_and_partitions_are_enough() -> None:
    """Of no part less, and never more workers or sinks than partitions."""
    sizes = [size(Load(10**power)) for power in range(3, 11)]
    for less, more in itertools.pairwise(sizes):
        for field in ("workers", "sinks", "partitions", "store_cores", "store_disk_gib", "kafka_disk_gib"):
            assert getattr(less, field) <= getattr(more, field), field
    assert all(max(each.workers, each.sinks) <= each.partitions for each in sizes)


@pytest.mark.parametrize("cores", [1, 2, 32])
def test_shards_divide_the_partitions_and_none_needs_a_larger_server(cores: int) -> None:
    """So that a partition's rows are on one shard, and a server that one would run holds what is its own."""
    for found in (size(Load(10**power), cores) for power in range(3, 11)):
        assert found.partitions % found.store_shards == 0
        assert found.store_shards * cores >= found.store_cores or found.store_cores == 2
    assert size(Load(10**3)).store_shards == size(Load(10**8)).store_shards == 1


def test_it_says_where_it_bends_first() -> None:
    """A billion a day is too much for one ClickHouse; a million is not."""
    assert size(Load(10**9)).first_limit.endswith("this load needs shards")
    assert size(Load(10**3)).first_limit == size(Load(10**6)).first_limit
    assert not size(Load(10**6)).first_limit.endswith("shards")
    assert size(replace(Load(10**6), store_days=730)).store_disk_gib > size(Load(10**6)).store_disk_gib
