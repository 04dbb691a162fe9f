"""The page's API over a real store: its numbers are those of the queries, and its facts are those that were landed."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from keeprate.deploy.commands.read.report import read_scope
from keeprate.deploy.page.api.questions import QUESTIONS, SCREENS
from keeprate.deploy.page.app import page
from keeprate.deploy.page.definitions import METRICS as DEFINED
from keeprate.deploy.page.selection import DIMENSIONS, parse
from keeprate.deploy.page.source import Source
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate
from tests.pages import NOW, NOW_MS, history, land

METRICS = ("acceptance_rate", "retention", "correction_rate", "negative_feedback_rate")


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> str:
    """A database with the demo's history, landed twice over for a part of it, as a replay would."""
    url = f"{store.url}/page_api"
    land(url, history())
    land(url, history()[-2000:])
    return url


@pytest.fixture(scope="module")
def api(url: str) -> Iterator[TestClient]:
    """The application over it, at a fixed time."""
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW)) as client:
        yield client


@pytest.fixture(scope="module")
def reader(url: str) -> Iterator[Client]:
    """The store itself."""
    with connect(url) as client:
        yield client


def _get(api: TestClient, path: str, **parameters: str | int | list[str]) -> Any:
    answer = api.get(f"/api/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_key_numbers_are_the_queries(api: TestClient, reader: Client) -> None:
    """Value, interval, numerator and denominator, unrounded."""
    found = {each["name"]: each for each in _get(api, "summary", period="7d", horizon=600)["metrics"]}
    scope = parse({"period": "7d"}).scope("now", NOW)
    (accepted,) = queries.rates(reader, scope, ["acceptance_rate"])
    kept = list(queries.retention_rates(reader, scope, ["fuzzy_persistence_observed"]))
    (at_600,) = [row for row in kept if row.horizon_s == 600]
    for name, row in (("acceptance_rate", accepted), ("retention", at_600)):
        rate = found[name]["rate"]
        assert (rate["value"], rate["low"], rate["high"]) == (row.value, row.interval_low, row.interval_high)
        assert (rate["numerator"], rate["denominator"]) == (row.numerator, row.denominator)
    assert found["retention"]["coverage"] == at_600.coverage
    assert list(found) == list(METRICS)


def test_the_previous_period_is_the_summary_of_that_period(api: TestClient, url: str) -> None:
    """What the change is measured against is what the page showed a period ago, but for what has come since."""
    now = _get(api, "summary", period="24h", horizon=30)["metrics"][0]
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW - timedelta(days=1))) as yesterday:
        then = _get(yesterday, "summary", period="24h", horizon=30)["metrics"][0]
    assert now["previous"] == then["rate"]
    assert now["change"]["value"] == pytest.approx(now["rate"]["value"] - then["rate"]["value"])


def test_the_baseline_is_the_four_weeks_before_the_period(api: TestClient, reader: Client) -> None:
    """Its rates are the queries', the change is that since; a period as long has none."""
    found = _get(api, "baseline", period="24h", horizon=600)
    until = NOW - timedelta(days=1)
    scope = Scope(until - timedelta(days=found["days"]), until, NOW)
    (accepted,) = queries.rates(reader, scope, ["acceptance_rate"])
    kept = queries.retention_rates(reader, scope, ["fuzzy_persistence_observed"])
    (at_600,) = [row for row in kept if row.horizon_s == 600]
    now = {each["name"]: each["rate"] for each in _get(api, "summary", period="24h", horizon=600)["metrics"]}
    assert set(found["rows"]) == set(METRICS)
    for name, row in (("acceptance_rate", accepted), ("retention", at_600)):
        usual = found["rows"][name]
        assert (usual["rate"]["numerator"], usual["rate"]["denominator"]) == (row.numerator, row.denominator)
        assert usual["change"]["value"] == pytest.approx(now[name]["value"] - usual["rate"]["value"])
    assert _get(api, "baseline", period="30d")["rows"] == {}


@pytest.mark.parametrize("metric", METRICS)
def test_a_series_adds_up_to_its_period(api: TestClient, reader: Client, metric: str) -> None:
    """Numerators and denominators of the buckets are those of the whole, for each group."""
    series = _get(api, "series", period="7d", by="app", metric=metric, horizon=600)
    selection = parse({"period": "7d", "by": "app", "horizon": "600"})
    scope = Scope(selection.scope("over_time", NOW).since, NOW, NOW, ("app",))
    kind, name = DEFINED[metric].query, DEFINED[metric].name
    rows = getattr(queries, kind)(reader, scope, [name])
    rows = [row for row in rows if kind != "retention_rates" or row.horizon_s == 600]
    whole = {row.dimensions["app"]: (row.numerator, row.denominator) for row in rows}
    for group in series["groups"]:
        parts = [sum(point[part] for point in group["points"]) for part in ("numerator", "denominator")]
        assert tuple(parts) == pytest.approx(whole[group["name"]])
    assert len(series["groups"]) == 3


def test_a_bucket_without_a_denominator_has_nulls(api: TestClient) -> None:
    """A gap in the line, not a zero."""
    points = _get(api, "series", period="30d")["groups"][0]["points"]
    first = points[0]
    assert (first["value"], first["low"], first["high"], first["denominator"]) == (None, None, None, 0)
    assert len(points) in (30, 31)


def test_the_retention_curve_keeps_its_order_and_its_coverage(api: TestClient) -> None:
    """lower <= observed <= paper at every horizon, and all are equal where everything was observed."""
    groups = _get(api, "retention", period="30d", by="prompt_version")["groups"]
    points = [point for group in groups for point in group["points"]]
    assert {point["horizon_s"] for point in points} >= {30, 120, 300, 600}
    for point in points:
        lower, observed, paper = (point["rates"][name]["value"] for name in ("lower", "observed", "paper"))
        assert lower <= observed <= paper
        assert point["coverage"] == point["observed"] / point["accepted"]
        assert (lower == paper) == (point["coverage"] == 1)


def test_the_funnel_leaves_nobody_out(api: TestClient) -> None:
    """Every step's parts make up what they are parts of."""
    steps = {step["name"]: step for step in _get(api, "funnel", period="7d", horizon=300)["steps"]}
    assert list(steps) == ["opportunities", "shown", "accepted", "retained"]
    assert sum(part["count"] for part in steps["shown"]["parts"]) == steps["shown"]["count"]
    kept, changed, _, _ = (part["count"] for part in steps["retained"]["parts"])
    assert steps["retained"]["count"] == kept
    assert steps["retained"]["share"] == kept / (kept + changed)


def test_groups_part_the_whole(api: TestClient) -> None:
    """What all versions showed is what was shown, the largest first."""
    groups = _get(api, "compare", period="7d", by="prompt_version")["groups"]
    shown = [group["shown"] for group in groups]
    assert shown == sorted(shown, reverse=True)
    assert sum(shown) == _get(api, "funnel", period="7d")["steps"][1]["count"]
    assert {group["name"].split()[0] for group in groups} == {"editor", "support", "repo-agent"}


def test_an_app_is_a_filter(api: TestClient) -> None:
    """On every path."""
    chosen = {"app": "editor", "period": "7d", "by": "app"}
    assert [group["name"] for group in _get(api, "compare", **chosen)["groups"]] == ["editor"]
    assert {row["app"] for row in _get(api, "feedback", **chosen)["rows"]} == {"editor"}
    assert {row["app"] for row in _get(api, "intake", **chosen)["orphans"]} == {"editor"}
    assert _get(api, "summary", app="nobody")["opportunities"] == 0


def test_the_latest_feedback_comes_first_and_once(api: TestClient) -> None:
    """A replay landed the newest twice; the list has each once, with the version that it speaks of."""
    rows = _get(api, "feedback", period="7d")["rows"]
    assert len(rows) == len({row["event_id"] for row in rows}) == 50
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    sent = [event for event in history() if event["type"] in ("flag", "vote", "edit")]
    assert rows[0]["event_id"] == max(sent, key=lambda event: event["occurred_at"])["event_id"]
    assert all(row["prompt_version"] for row in rows if row["kind"] == "edit")
    assert {row["kind"] for row in _get(api, "feedback", period="7d", kind="vote")["rows"]} == {"vote"}


def test_a_generation_tells_its_story_in_order(api: TestClient) -> None:
    """Every event of it, once, the generation with its content."""
    edit = next(event for event in reversed(history()) if event["type"] == "edit")
    story = _get(api, f"generations/{edit['app']}/{edit['generation_id']}")
    sent = {event["event_id"] for event in history() if event["generation_id"] == edit["generation_id"]}
    assert {event["event_id"] for event in story["events"]} == sent
    assert len(story["events"]) == len(sent)
    times = [event["occurred_at"] for event in story["events"]]
    assert times == sorted(times)
    assert story["generation"]["output"][0]["content"]


def test_a_generation_is_of_its_own_app_only(api: TestClient) -> None:
    """The id alone does not open it."""
    event = history()[0]
    other = "support" if event["app"] != "support" else "editor"
    answer = api.get(f"/api/generations/{other}/{event['generation_id']}")
    assert answer.status_code == 404


def test_dead_letters_are_grouped_by_reason(url: str, reader: Client) -> None:
    """Two records of one kind are one line with the latest reason; what both stages refused counts once."""
    columns = ("topic", "partition", "offset", "stage", "error_type", "field", "reason", "recorded_at", "refused_at")
    hour = NOW - timedelta(hours=1)
    rows = [
        ("keeprate.feedback", 0, 1, "sink", "invalid", "value", "first", hour, hour),
        ("keeprate.feedback", 0, 2, "sink", "invalid", "value", "<b>second</b>", hour, NOW - timedelta(minutes=1)),
    ]
    reader.insert("dead_letters", columns, [*rows, *((*row[:3], "join", *row[4:]) for row in rows)])
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW)) as api:
        (line,) = _get(api, "intake")["dead_letters"]
        assert _get(api, "status")["dead_letters"] == 2
    assert (line["count"], line["reason"], line["error_type"]) == (2, "<b>second</b>", "invalid")
    assert line["stage"] == "join+sink"


def test_the_header_tells_age_rate_and_lag(api: TestClient, reader: Client) -> None:
    """The newest event is the newest of the past: a clock that runs ahead does not freeze the age."""
    status = _get(api, "status", period="7d")
    newest = max(event["occurred_at"] for event in history() if event["occurred_at"] <= NOW_MS)
    assert status["newest_event_at"] == newest
    assert status["freshness_s"] == pytest.approx((NOW_MS - newest) / 1000)
    assert status["lag_s"] in (None, pytest.approx(0.7))
    (counted,) = queries.funnel(reader, parse({"period": "7d"}).scope("now", NOW))
    assert status["orphans"] == counted.orphans > 0


def test_what_can_be_chosen_is_what_was_sent(api: TestClient) -> None:
    """Apps, environments and horizons come from the data."""
    meta = _get(api, "meta")
    assert meta["apps"] == ["editor", "repo-agent", "support"]
    assert meta["environments"] == ["production"]
    sent = {event["horizon_s"] for event in history() if event["type"] == "retention_check"}
    assert meta["horizons_s"] == sorted(horizon_s for horizon_s in sent if horizon_s is not None)
    assert meta["default_horizon_s"] == 600


def test_tables_that_are_missing_are_said_with_a_remedy(store: StoreProcess) -> None:
    """A store that answers but is not ours is no reason to wait."""
    source = Source(f"{store.url}/default")
    with TestClient(page(source, hosts=("testserver",)), raise_server_exceptions=False) as client:
        answer = client.get("/api/status")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "store_refused"
    assert "keeprate migrate" in answer.json()["error"]["message"]


class _Counting(Source):
    """A source whose clients note what the store is asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []

    def client(self) -> Client:
        client, asked = super().client(), self.asked

        class Noting(Client):
            def query(self, statement: str, *arguments: Any, **more: Any) -> Any:
                asked.append(statement)
                return client.query(statement, *arguments, **more)

            def query_dicts(self, statement: str, *arguments: Any, **more: Any) -> Any:
                asked.append(statement)
                return client.query_dicts(statement, *arguments, **more)

        return Noting(client._driver)

    def count(self, text: str) -> int:
        """How many statements were asked that hold it."""
        return sum(text in statement for statement in self.asked)


PARTS = SCREENS["screen"]
PATHS = ("screen", "operations", *PARTS)


@pytest.mark.parametrize(("metric", "asked"), [("acceptance_rate", [1, 1]), ("retention", [1, 1])])
def test_a_screen_is_its_parts_and_asks_for_each_count_once(url: str, metric: str, asked: list[int]) -> None:
    """One request has all that is shown, and asks the store for nothing that another part of it has asked."""
    source = _Counting(url)
    chosen: dict[str, str | int] = {"period": "7d", "by": "prompt_version", "horizon": 600, "metric": metric}
    with TestClient(page(source, hosts=("testserver",), now=lambda: NOW)) as client:
        shown = _get(client, "screen", **chosen)
        # All spans of time at once; retention over time too, where that is shown.
        assert [source.count("m_corrected"), source.count("m_taken")] == asked
        for part in PARTS:
            assert _get(client, part, **chosen) == shown[part]
        assert [source.count("m_corrected"), source.count("m_taken")] == asked
        assert _get(client, "meta") == shown["meta"]


CUTS = [
    ("model,language", {}),
    ("step,user", {"app": "repo-agent"}),
    ("prompt_version", {"language": ["go", "python"]}),
]


@pytest.mark.parametrize(("by", "only"), CUTS)
def test_cuts_and_filters_are_those_of_the_report(
    api: TestClient, reader: Client, by: str, only: dict[str, str | list[str]]
) -> None:
    """Whatever the command line can ask, a screen shows: the same groups with the same counts."""
    shown = _get(api, "screen", period="7d", by=by, horizon=600, **only)
    scope = read_scope(NOW, ",".join(parse({"by": by, **only}).dimensions), [], _options(only), "7d")
    rates = {tuple(row.dimensions.values()): row for row in queries.rates(reader, scope, ["acceptance_rate"])}
    groups = {tuple(group["dimensions"].values()): group for group in shown["compare"]["groups"]}
    assert len({group["name"] for group in groups.values()}) == len(groups) > 1
    for values, group in groups.items():
        assert (group["accepted"], group["shown"]) == (rates[values].numerator, rates[values].denominator)
    pooled = read_scope(NOW, "", [], _options(only), "7d")
    (whole,) = queries.rates(reader, pooled, ["acceptance_rate"])
    assert shown["summary"]["metrics"][0]["rate"]["denominator"] == whole.denominator
    assert shown["compare"]["by"] == by


def _options(only: dict[str, str | list[str]]) -> list[str]:
    """As `keeprate report --only` has them."""
    pairs = [(name, [values] if isinstance(values, str) else values) for name, values in only.items()]
    return [f"{name}={value}" for name, values in pairs for value in values]


def test_feedback_follows_every_filter(api: TestClient) -> None:
    """Also by what only the generation knows: what is listed was said of what was counted."""
    models = {e["generation_id"]: e.get("model") for e in history() if e["type"] == "generation"}
    model = "orion-2-code"
    rows = _get(api, "feedback", period="7d", model=model)["rows"]
    of_model = {
        event["event_id"]
        for event in history()
        if event["type"] in ("flag", "vote", "edit") and models.get(event["generation_id"]) == model
        if event["occurred_at"] >= NOW_MS - 7 * 86_400_000
    }
    assert {row["event_id"] for row in rows} <= of_model
    assert len(rows) == min(50, len(of_model)) > 0
    assert _get(api, "feedback", period="7d", model="nobody's")["rows"] == []


@pytest.mark.parametrize("by", [name for name in DIMENSIONS if name])
def test_key_numbers_are_the_same_whatever_they_are_compared_by(api: TestClient, by: str) -> None:
    """They are the sums of the groups, and the groups leave nobody out."""
    for part in ("summary", "funnel"):
        assert _get(api, part, period="7d", horizon=600, by=by) == _get(api, part, period="7d", horizon=600)


def test_without_a_horizon_it_is_the_one_that_is_proposed(api: TestClient) -> None:
    """So a page asks for its first screen without knowing what the apps check at."""
    shown = _get(api, "screen")
    assert shown["summary"]["horizon_s"] == shown["meta"]["default_horizon_s"] == 600


def test_made_up_names_cost_the_store_no_more_than_one(url: str) -> None:
    """Whoever asks for a new app each time asks the store nothing new, and is answered with nothing."""
    source = _Counting(url)
    with TestClient(page(source, hosts=("testserver",), now=lambda: NOW)) as client:
        for path in PATHS:
            _get(client, path, app="made-up", model="made-up", period="30d", horizon=300)
        once = len(source.asked)
        with ThreadPoolExecutor(24) as viewers:
            answers = [
                viewers.submit(_get, client, path, period="30d", horizon=300, **{name: f"made-up-{viewer}"})
                for viewer in range(24)
                for path in ("summary", "series", "retention", "funnel", "compare")
                for name in ("app", "model")
            ]
            found = [answer.result() for answer in answers]
        # What is kept for seconds only may be read again meanwhile: names, and no numbers.
        assert all("DISTINCT app" in statement for statement in source.asked[once:])
        assert found[0]["opportunities"] == 0
    assert _get_real(url)["opportunities"] > 0


def _get_real(url: str) -> Any:
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW)) as client:
        return _get(client, "summary", app="editor", period="30d")


def test_viewers_beyond_the_limit_are_told_to_come_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While all turns to count are taken: health, files, facts and feedback are answered as ever."""
    go, begun = threading.Event(), threading.Semaphore(0)

    def slow(reads: object, selection: object) -> dict[str, object]:
        begun.release()
        assert go.wait(60)
        return {}

    monkeypatch.setitem(QUESTIONS, "series", slow)
    several = [
        (period, by) for period in ("1h", "6h", "24h", "7d", "30d", "90d") for by in ("", "app", "model", "step")
    ]
    several += [(period, "provider") for period in ("1h", "6h", "24h", "7d", "30d", "90d")]
    with (
        TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW)) as client,
        ThreadPoolExecutor(len(several)) as viewers,
    ):
        asked = [viewers.submit(client.get, "/api/series", params={"period": p, "by": by}) for p, by in several]
        for _ in range(6):
            assert begun.acquire(timeout=60)
        excess = client.get("/api/series", params={"by": "language"})
        while excess.status_code != 503:
            excess = client.get("/api/series", params={"by": "language"})
        assert (excess.json()["error"]["code"], excess.headers["retry-after"]) == ("busy", "2")
        for path in ("/healthz", "/", "/loop.js", "/api/meta", "/api/status", "/api/feedback", "/api/intake"):
            assert client.get(path).status_code == 200
        go.set()
        assert {answer.result().status_code for answer in asked} <= {200, 503}
        assert client.get("/api/series", params={"by": "language"}).status_code == 200


ODD = [
    "",
    "0",
    "-1",
    "1" * 5000,
    "0" * 5000,
    "1e308",
    "nan",
    "inf",
    "\x00",
    "\u202e",
    "\ud7ff",
    "'; DROP TABLE outcomes",
    "a" * 9000,
]
ODD += ["{app:String}", "%", "*", "../..", "[]", "true", "null", "\U0001f600", "1.5", " 300", "300 ", "\n", "--", "/*"]


@pytest.mark.parametrize("name", ["app", "user", "language", "period", "by", "horizon", "metric", "kind", "other"])
@pytest.mark.parametrize("path", [*PATHS, "meta"])
def test_no_parameter_is_an_error_of_the_server(api: TestClient, path: str, name: str) -> None:
    """Each odd value is an answer or a refusal that names the parameter."""
    for value in ODD:
        answer = api.get(f"/api/{path}", params={name: value})
        assert answer.status_code in (200, 400), (value, answer.text)
        if answer.status_code == 400:
            assert name in answer.json()["error"]["message"]


def test_no_path_of_a_generation_is_an_error_of_the_server(api: TestClient) -> None:
    """What is no address of a generation is not found; an id may be in upper case."""
    event = next(event for event in history() if event["type"] == "generation")
    for app_name in (quote(value, safe="") for value in ODD if value):
        for generation_id in (event["generation_id"], quote(app_name, safe="")):
            assert api.get(f"/api/generations/{app_name}/{generation_id}").status_code == 404
    address = f"/api/generations/{event['app']}/{event['generation_id'].upper()}"
    assert api.get(address).json()["generation"]["event_id"] == event["event_id"]


def test_a_number_that_is_none_is_null(store: StoreProcess) -> None:
    """What an older version let into the store does not take the page's list of feedback away."""
    vote = next(event for event in history() if event["type"] == "vote")
    wide = {**vote, "score": 1e308, "scale_min": -1e308, "scale_max": 1e308, "value": None}
    url = f"{store.url}/page_numbers"
    migrate(url)
    columns = ("event", "topic", "partition", "offset", "recorded_at", "stored_at")
    at = datetime.fromtimestamp(vote["occurred_at"] / 1000, UTC)
    with connect(url) as client:
        client.insert("feedback", columns, [(json.dumps(wide), "keeprate.feedback", 0, 0, at, at)])
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW)) as client:
        (row,) = _get(client, "feedback", period="90d")["rows"]
    assert (row["score"], row["valence"]) == (1.0, "positive")


def test_more_numbers_are_the_queries_with_an_interval_each(api: TestClient, reader: Client) -> None:
    """Shares and the period before, what a kept one costs, and quantiles between the ends of their intervals."""
    found = _get(api, "more", period="7d", app="editor", horizon=600)
    scope = parse({"period": "7d", "app": "editor"}).scope("now", NOW)
    (touchless,) = queries.rates(reader, scope, ["touchless_rate"])
    assert found["shares"][0]["rate"]["value"] == touchless.value
    assert found["shares"][0]["previous"] is not None
    costs = {each.horizon_s: each for each in queries.retention_rates(reader, scope, ["cost_per_retained"])}
    cost = found["cost"]["now"]
    assert cost["value"] == pytest.approx(float(costs[600].value or 0))
    assert cost["low"] < cost["value"] < cost["high"]
    # Of all apps, those count whose checks have the horizon.
    every = parse({"period": "7d"}).scope("now", NOW)
    (least,) = (
        each
        for each in queries.retention_rates(reader, replace(every, by=()), ["cost_per_retained"])
        if each.horizon_s == 30
    )
    of_all = _get(api, "more", period="7d", horizon=30)["cost"]["now"]
    assert of_all["value"] == pytest.approx(float(least.value or 0))
    assert of_all["kept"] == least.denominator
    median, slow = found["latency"]["now"]
    assert median["low_ms"] < median["value_ms"] < median["high_ms"] < slow["value_ms"]
    sent = {
        each["generation_id"]: each["latency_ms"]
        for each in history()
        if each["type"] == "generation" and each["app"] == "editor" and "latency_ms" in each
        if each["occurred_at"] >= NOW_MS - 7 * 86_400_000
    }
    assert median["calls"] == slow["calls"] == len(sent)
    below = sum(each <= median["value_ms"] for each in sent.values()) / len(sent)
    assert below == pytest.approx(0.5, abs=0.02)


def test_what_explains_two_periods_is_the_difference_of_the_key_numbers(api: TestClient) -> None:
    """The same definition on both pages: the change of the summary is the difference that is taken apart."""
    chosen: dict[str, Any] = {"period": "24h", "app": "editor", "metric": "acceptance_rate"}
    (summary,) = (each for each in _get(api, "summary", **chosen)["metrics"] if each["name"] == "acceptance_rate")
    why = _get(api, "why", release="periods", **chosen)
    assert why["difference"]["value"] == pytest.approx(summary["change"]["value"])
    assert why["new"]["denominator"] == summary["rate"]["denominator"]
    for cut in why["cuts"]:
        assert sum(each["new"]["denominator"] for each in cut["values"]) == why["new"]["denominator"]
    assert api.get("/api/summary", params={"release": "periods"}).status_code == 400


def test_versions_are_the_comparison_by_two_cuts(api: TestClient) -> None:
    """Whole, and part by part: the same numbers as side by side on the overview."""
    chosen: dict[str, Any] = {"period": "7d", "app": "editor", "horizon": 600}
    found = _get(api, "versions", split="language", **chosen)
    assert found["whole"] == _get(api, "compare", by="prompt_version", **chosen)
    assert found["parts"] == _get(api, "compare", by="prompt_version,language", **chosen)
    refused = api.get("/api/versions", params={"component": "user"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")


def test_operations_tell_what_the_ledger_and_the_detector_know(api: TestClient, reader: Client) -> None:
    """A gap in the ledger is a finding, and a store whose batches nobody closed watches nothing."""
    assert _get(api, "drift") == {"enough": 300, "rows": []}
    columns = ("sink", "topic", "partition", "first_offset", "last_offset", "rows", "dead_letters", "stored_at")
    ranges = [(0, 9, 10, 0), (12, 14, 2, 1)]
    rows = [("sink", "keeprate.feedback", 0, *each, NOW - timedelta(hours=1)) for each in ranges]
    reader.insert("ledger", columns, rows)
    found = _get(api, "accounts")
    assert {each["topic"]: each["ok"] for each in found["hops"]} == {"keeprate.feedback": 12}
    assert (found["ledger"]["ranges"], found["ledger"]["offsets"]) == (2, 13)
    (finding,) = found["ledger"]["findings"]
    assert "12-14" in finding
