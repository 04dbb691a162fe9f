"""Every query of the dashboards is asked of a real Prometheus and a real ClickHouse engine, and has an answer."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from keeprate.deploy.grafana.writing import texts
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from tests.dashboards.answers import answer
from tests.dashboards.history import SPAN, Engines, engines
from tests.dashboards.interpolation import Target, Values, targets

pytestmark = [pytest.mark.clickhouse, pytest.mark.prometheus, pytest.mark.slow]

TARGETS = {each.name: each for name, text in texts().items() for each in targets(name.removesuffix(".json"), text)}
WITHOUT_DATA = {
    "drift / When a change began / A": "no series of the demo is in alarm in its last hours",
    "drift / What got worse together / A": "for the same reason",
    "drift / Which cut explains it / A": "for the same reason",
    "pipeline / Sampled, folded / B": "the demo has few apps, prompts and models, so no label is folded",
}


@pytest.fixture(scope="module")
def both(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    directory = tmp_path_factory.mktemp("dashboards")
    with engines(directory, require("promtool"), require("prometheus")) as running:
        yield running


@pytest.fixture(scope="module")
def every_value(both: Engines) -> Values:
    return both.every_value()


@pytest.mark.parametrize("name", TARGETS)
def test_a_query_gives_what_its_panel_shows(both: Engines, every_value: Values, name: str) -> None:
    """With all values of the variables; what the demo has none of is listed, with the reason."""
    assert (answer(both, TARGETS[name], every_value) == []) == (name in WITHOUT_DATA)


def test_variables_choose_in_both(both: Engines, every_value: Values) -> None:
    """One version has a dot, which PromQL takes for any character and SQL does not."""
    by_version = TARGETS["quality / Acceptance by version / A"]
    by_language = TARGETS["quality / Acceptance by language / A"]
    chosen = {**every_value, "app": ["repo-agent"], "version": ["2.1"]}
    assert {each.name for each in answer(both, by_version, chosen)} == {"repo-agent 2.1"}
    some, every = (_shown(both, by_language, values) for values in (chosen, every_value))
    assert 0 < some < every
    assert _shown(both, by_language, {**every_value, "version": ["2x1"]}) == 0
    assert answer(both, by_version, {**every_value, "version": ["2x1"]}) == []


def _shown(both: Engines, target: Target, values: Values) -> int:
    return sum(int(str(each.cells["shown"])) for each in answer(both, target, values))


def test_sql_counts_what_the_report_counts(both: Engines, every_value: Values) -> None:
    """Acceptance by language, row by row."""
    rows = answer(both, TARGETS["quality / Acceptance by language / A"], every_value)
    # Grafana's time holds its end, a scope's does not.
    scope = Scope(SPAN.since, SPAN.until + timedelta(milliseconds=1), SPAN.until, by=("language",))
    reported = {
        rate.dimensions["language"] or "unknown": (rate.denominator, rate.numerator)
        for rate in queries.rates(both.client, scope, ["acceptance_rate"])
        if rate.denominator
    }
    assert {row.cells["language"]: (row.cells["shown"], row.cells["accepted"]) for row in rows} == reported
