"""`keeprate releases` and `keeprate compare` over the demo's history: what they print, in 80 columns and as JSON."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

from keeprate.deploy.commands.tree import app
from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import DAY_MS, World
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.reading import load

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow]

DAYS = 12
EVENTS = 30_000


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> Iterator[str]:
    """A database with the demo's last twelve days."""
    url = f"{store.url.rstrip('/').removesuffix('/keeprate')}/release_commands"
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start_ms = int((midnight - timedelta(days=DAYS)).timestamp() * 1000)
    world = World.over(7, start_ms, DAYS)
    sent = simulate(world, start_ms, start_ms + DAYS * DAY_MS, EVENTS * 1000 / (DAYS * DAY_MS))
    migrate(url)
    with connect(url) as client:
        load(client, [each.event for each in sent])
    yield url
    with connect(url, "default") as client:
        client.command("DROP DATABASE release_commands")


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--store", url], env={"COLUMNS": "80"})


def row(output: str, metric: str) -> list[str]:
    found = next(line for line in output.splitlines() if line.startswith(metric))
    return found.removeprefix(metric).split()


def test_releases_are_listed_newest_first_with_their_verdicts(url: str) -> None:
    """The bad one is worse from five minutes on; no line is wider than the terminal."""
    result = run(url, "releases", "--app", "editor")
    assert result.exit_code == 0, result.stderr
    assert "v4 after v3  editor · inline-completion  since " in result.stdout
    assert row(result.stdout, "kept 10 min")[0] == "worse"
    assert row(result.stdout, "accepted")[0] != "worse"
    assert max(map(len, result.stdout.splitlines())) <= 80
    everything = run(url, "releases").stdout
    since = [line.rpartition("since ")[2] for line in everything.splitlines() if " since " in line]
    assert len(since) >= 3
    moments = [datetime.strptime(f"2024 {each} +0000", "%Y %d %b %H:%M UTC %z") for each in since]
    assert moments == sorted(moments, reverse=True)


def test_the_period_and_the_names_choose(url: str) -> None:
    """What was released before is not listed, and what is left out is said."""
    assert "no release since 24h" in run(url, "releases", "--since", "24h").stdout
    assert run(url, "releases", "--prompt", "nothing").stdout.startswith("no release since 4w")


def test_json_has_the_numbers(url: str) -> None:
    """The same verdicts, with evidence and interval."""
    body = json.loads(run(url, "releases", "--app", "editor", "--json").stdout)
    found = {(each["metric"], each["horizon_s"]): each for each in body["verdicts"]}
    kept = found["retention", 600]
    assert (kept["verdict"], kept["version"], kept["predecessor"]) == ("worse", "v4", "v3")
    assert kept["low"] < kept["difference"] < kept["high"] < 0
    assert kept["fell"] >= 1


def test_two_versions_are_compared_with_how_the_evidence_came(url: str) -> None:
    """Every horizon, bars, and the split that was meant."""
    result = run(url, "compare", "editor", "inline-completion", "v3", "v4", "--split", "0.5")
    assert result.exit_code == 0, result.stderr
    assert row(result.stdout, "kept 5 min")[0] == "worse"
    assert "█" in result.stdout
    assert "the split is as meant" in result.stdout
    body = json.loads(run(url, "compare", "editor", "inline-completion", "v3", "v4", "--json").stdout)
    path = next(each for each in body["verdicts"] if each["horizon_s"] == 300)["path"]
    assert path[-1]["log_fell"] >= 0 > path[0]["log_fell"]
    assert (
        "the split is not as meant"
        in run(url, "compare", "editor", "inline-completion", "v3", "v4", "--split", "0.9").stdout
    )


def test_a_version_that_does_not_exist_is_named_beside_those_that_do(url: str) -> None:
    """A typing error costs one look."""
    result = run(url, "compare", "editor", "inline-completion", "v3", "v5")
    assert result.exit_code == 2
    assert "v5: no version of editor inline-completion" in result.stderr
    assert "there is v3, v4" in result.stderr
