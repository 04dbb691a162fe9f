"""A simulated day: what comes is what the load says, and a stage bends just where its work begins to wait."""

import json
from dataclasses import replace
from random import Random

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.simulated_day import BEHIND_S, arrivals, first_to_bend, simulate
from keeprate.deploy.sizing import Load

BILLION = Load(10**9)


@pytest.mark.parametrize("peak", [1.0, 2.0, 3.0, 6.0])
def test_a_day_has_the_events_and_the_peak_that_the_load_says(peak: float) -> None:
    """Over the whole day, and in its busiest hour, which checks of an hour later make a little broader."""
    load = replace(BILLION, peak=peak)
    minutes = arrivals(load, Random(3))
    assert sum(minutes) == pytest.approx(10**9 * load.events_each)
    busiest = max(sum(minutes[at : at + 60]) for at in range(0, len(minutes), 60))
    assert busiest / (sum(minutes) / 24) == pytest.approx(peak, rel=0.1)


def test_a_stage_bends_where_its_work_begins_to_wait() -> None:
    """A little below nothing waits for long, a little above it does: ClickHouse on one node comes first."""
    first = first_to_bend(simulate(BILLION, Random(1)))
    assert first.name == "ClickHouse"
    for share, waits in ((0.98, False), (1.02, True)):
        day = simulate(replace(BILLION, suggestions_per_day=int(first.bends_at * share)), Random(1))
        (store,) = (each for each in day if each.name == first.name)
        assert (store.longest_s > BEHIND_S) == waits == (store.behind_from is not None)


def test_what_the_plan_keeps_free_is_what_the_day_leaves_free() -> None:
    """A load that one node is planned for takes about half of each stage in its busiest minute."""
    for each in simulate(Load(10**8), Random(2)):
        assert 0.2 < each.busiest < 0.62
        assert each.longest_s == 0


def test_the_command_says_which_bends_first() -> None:
    """As a table of 80 columns, and as JSON."""
    said = CliRunner().invoke(app, ["size", "3000000000", "--simulate"]).stdout
    assert "bends first: ClickHouse, at" in said
    table = said[said.index("a day of it") :].splitlines()
    assert max(map(len, table)) <= 80
    found = json.loads(CliRunner().invoke(app, ["size", "3000000000", "--simulate", "--json"]).stdout)
    assert [each["name"] for each in found["day"]] == ["workers", "sinks", "ClickHouse"]
    assert found["day"][2]["behind_from"] is not None
