"""`keeprate report` against a running store: tables, JSON, CSV, and what it says when there is nothing to say."""

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from keeprate.deploy.commands.tree import app
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.facts import Facts
from tests.reading import load
from tests.worked_example import worked_example

SPAN = ("--since", "2026-03-02", "--until", "2026-03-03")


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> Iterator[str]:
    """A migrated database with the worked example in it, and an orphan."""
    url = f"{store.url.rstrip('/').removesuffix('/keeprate')}/report_test"
    migrate(url)
    with connect(url) as client:
        load(client, [*worked_example(), Facts("worked-example").vote("orphan", 1)])
    yield url
    with connect(url, "default") as client:
        client.command("DROP DATABASE report_test")


def run(url: str, *arguments: str, width: int = 175) -> Result:
    return CliRunner().invoke(app, ["report", "--store", url, *arguments], env={"COLUMNS": str(width)})


def test_tables_show_rate_interval_denominator_and_coverage(url: str) -> None:
    """The numbers of the worked example, with what is needed to judge them."""
    result = run(url, *SPAN)
    assert result.exit_code == 0, result.stderr
    assert "60.0 % (31.3…83.2) /10" in result.stdout
    assert "2 min" in result.stdout
    assert "83.3 %" in result.stdout
    assert "1 suggestions have feedback and no generation yet" in result.stdout


@pytest.mark.parametrize("by", ["", "app", "app,model", "model,language,surface"])
def test_eighty_columns_hold_every_number_whole(url: str, by: str) -> None:
    """What does not fit beside its segment stands below it: no line is wider, no number or word is cut or broken."""
    result = run(url, *SPAN, "--by", by, width=80)
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if not line.startswith("note ")]
    assert max(map(len, lines)) <= 80
    (acceptance,) = (line.split() for line in lines if line.startswith("  acceptance rate"))
    assert acceptance == ["acceptance", "rate", "60.0", "%", "(31.3…83.2)", "/10"]
    ((at_300, below),) = (
        (" ".join(line.split()), below.split()) for line, below in pairwise(lines) if line.strip().startswith("5 min ")
    )
    assert at_300.endswith("6 5 (83.3 %) 33.3 % 50.0 % 60.0 %")
    assert below == ["(9.7…70.0)", "(18.8…81.2)", "(23.1…88.2)"]
    assert not [line for line in lines if line.rstrip().endswith("…")]


def test_the_page_needs_nothing_else_and_has_the_same_numbers(url: str, tmp_path: Path) -> None:
    """One file: every cell of the tables, a curve, no script, and nothing that is loaded."""
    path = tmp_path / "report.html"
    result = run(url, *SPAN, "--by", "app,model", "--html", str(path))
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    text = path.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|<script|<link|<img|\b(src|href)=|url\(|@import", text)
    cells = [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", text)]
    assert ["60.0", "%", "(31.3…83.2)", "of", "10"] in cells
    assert ["5", "(83.3", "%)"] in cells
    assert "60.0 % after 5 min" in text
    assert "1 suggestions have feedback and no generation yet" in text


def test_a_page_that_cannot_be_written_is_told(url: str, tmp_path: Path) -> None:
    """With the file and what would do."""
    result = run(url, *SPAN, "--html", str(tmp_path / "nowhere" / "report.html"))
    assert result.exit_code == 1
    assert "report.html: No such file or directory; name a file in a directory" in result.stderr


def test_json_has_every_row_and_null_for_the_undefined(url: str) -> None:
    """A machine reads the same numbers."""
    report = json.loads(run(url, *SPAN, "--by", "app,model", "--json").stdout)
    rates = {row["metric"]: row for row in report["rates"] if row["dimensions"]["model"] == "model-a"}
    assert (rates["acceptance_rate"]["value"], rates["commit_retention"]["value"]) == (0.6, None)
    assert {row["horizon_s"] for row in report["retention"]} == {30, 120, 300, 600}
    assert report["scope"]["by"] == ["app", "model"]


def test_csv_has_a_line_per_rate(url: str) -> None:
    """Fit for a spreadsheet: dimensions first, then the metric and its numbers."""
    rows = list(csv.DictReader(io.StringIO(run(url, *SPAN, "--by", "language", "--csv").stdout)))
    (row,) = (row for row in rows if row["metric"] == "car" and row["language"] == "python")
    assert (row["numerator"], row["denominator"], row["value"], row["horizon_s"]) == ("6.0", "8.0", "0.75", "")


def test_nothing_in_the_span_names_the_span_that_has_some(url: str) -> None:
    """No data is no error, and says where to look."""
    result = run(url, "--since", "2020-01-01", "--until", "2020-01-02", "--app", "chat")
    assert result.exit_code == 0
    assert "The store holds some of 2026-03-02 09:00 to 2026-03-02 10:10: try --since 2026-03-02" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--by", "modle"), "modle: no such dimension; choose from app,"),
        (("--since", "yesterday"), "--since yesterday: write 90min, 24h, 7d"),
        (("--json", "--html", "report.html"), "--json, --csv and --html: choose one"),
        (("--only", "language"), "--only language: write a dimension and a value"),
        (("--bucket", "1m"), "--bucket 1m: write a number and min, h, d or w"),
        (("--since", "1d", "--until", "2d"), "is not before until"),
    ],
)
def test_an_error_names_the_option_and_the_remedy(url: str, arguments: tuple[str, ...], expected: str) -> None:
    """Refused before the store is asked."""
    result = run(url, *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_store_that_was_never_migrated_names_the_remedy(store: StoreProcess) -> None:
    """Missing views are the operator's to apply."""
    result = run(f"{store.url.rstrip('/').removesuffix('/keeprate')}/default")
    assert result.exit_code == 1
    assert "keeprate migrate" in result.stderr


def test_a_store_that_is_down_names_the_url() -> None:
    """Nothing listens there: the error shows where it looked."""
    result = run("http://127.0.0.1:9/keeprate")
    assert result.exit_code == 1
    assert "http://127.0.0.1:9/keeprate" in result.stderr
