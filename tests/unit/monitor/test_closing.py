"""When batches close."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keeprate.deploy.monitor import configuration
from keeprate.deploy.monitor.closing import (
    ROWS_AT_ONCE,
    ClosingSpan,
    closable,
    has_caught_up,
    in_steps,
    next_step,
)
from keeprate.deploy.monitor.configure import Addresses, write_configuration
from keeprate.deploy.settings import RUNBOOK_URL
from keeprate.sinks.closed.batches import DAY
from keeprate.sinks.closed.watermarks import Progress

AT = datetime(2026, 3, 2, 9, 2, 3, tzinfo=UTC)
FLOOR = AT.replace(minute=0, second=0)


def steps(span: ClosingSpan, rows_a_day: int) -> list[ClosingSpan]:
    return list(in_steps(span, lambda part: rows_a_day * (part.until - part.since) // DAY))


@pytest.mark.parametrize("rows_a_day", [0, 100, ROWS_AT_ONCE // 3, 2 * ROWS_AT_ONCE])
def test_steps_tile_the_time(rows_a_day: int) -> None:
    """From the batch of the first event to the last batch that is complete, without gap or overlap."""
    found = steps(closable("acceptance", "a", AT, AT + timedelta(days=50, hours=1)), rows_a_day)
    assert found[0] == ClosingSpan("acceptance", "a", FLOOR, FLOOR + DAY)
    assert [each.since for each in found[1:]] == [each.until for each in found[:-1]]
    assert found[-1].until == FLOOR + timedelta(days=50, minutes=50)


@pytest.mark.parametrize(("rows_a_day", "days"), [(100, [1, 8, 28, 13]), (ROWS_AT_ONCE // 3, [1, *[3] * 16, 1])])
def test_a_step_is_as_long_as_fits(rows_a_day: int, days: list[int]) -> None:
    """After a first one of a day; of four weeks at most."""
    found = steps(ClosingSpan("acceptance", "a", FLOOR, FLOOR + 50 * DAY), rows_a_day)
    assert [(each.until - each.since) // DAY for each in found] == days


def test_a_step_is_a_day_however_many_rows_that_are() -> None:
    """Also after a long one, when what came then is more."""
    assert next_step(DAY, 10 * ROWS_AT_ONCE) == next_step(28 * DAY, 100 * ROWS_AT_ONCE) == DAY


def test_nothing_closes_before_its_time() -> None:
    """The batch of the first event is open for ten minutes after its end."""
    assert steps(closable("acceptance", "a", AT, FLOOR + timedelta(minutes=14, seconds=59)), 1) == []


@pytest.mark.parametrize(
    ("lag", "recent", "caught_up"),
    [(None, 0, True), (0, 0, True), (1000, 0, True), (1001, 0, False), (5000, 6000, True), (7000, 6000, False)],
)
def test_closing_waits_for_consumers_that_are_a_minute_behind(lag: int | None, recent: int, caught_up: bool) -> None:
    """A thousand records, or as many as the last minute brought; where Kafka does not say, the watermark decides."""
    assert has_caught_up(lag, {"a": Progress(AT, AT, recent)}) == caught_up


def test_the_configuration_takes_other_ports(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of the named jobs only; a job that does not exist is refused."""
    directory = tmp_path_factory.mktemp("prometheus")
    text = write_configuration(directory, {"keeprate-sink": "127.0.0.1:1234"}).read_text()
    assert "127.0.0.1:1234" in text
    assert "127.0.0.1:9469" in text
    assert (directory / "rules.yml").read_text() == (Path(configuration()) / "rules.yml").read_text()
    with pytest.raises(ValueError, match="keeprate-page: no such job"):
        write_configuration(directory, {"keeprate-page": "127.0.0.1:1"})


def test_the_configuration_takes_another_runbook(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every alert leads there, and none to this machine any more."""
    directory = tmp_path_factory.mktemp("prometheus")
    write_configuration(directory, {}, Addresses("https://wiki.example/runbook", "https://keeprate.example"))
    shipped = (Path(configuration()) / "rules.yml").read_text()
    text = (directory / "rules.yml").read_text()
    assert text.count("runbook_url: https://wiki.example/runbook#") == shipped.count("runbook_url:") > 15
    assert RUNBOOK_URL not in text


def test_the_addresses_of_receivers_outlive_a_new_configuration(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The rules are replaced, and alertmanager.yml is there the first time only."""
    directory = tmp_path_factory.mktemp("prometheus")
    write_configuration(directory, {})
    own = directory / "alertmanager.yml"
    assert own.read_text() == (Path(configuration()) / "alertmanager.yml").read_text()
    own.write_text("# filled in")
    (directory / "rules.yml").write_text("# old")
    write_configuration(directory, {})
    assert own.read_text() == "# filled in"
    assert "KeeprateTargetDown" in (directory / "rules.yml").read_text()
