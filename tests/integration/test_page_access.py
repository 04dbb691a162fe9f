"""Every route of the page, walked by somebody who may see one app: it answers as if there were no other."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from keeprate.deploy.page.access.doors import PageAccess
from keeprate.deploy.page.access.gate import PUBLIC
from keeprate.deploy.page.access.viewer import ANYBODY, Role, Viewer
from keeprate.deploy.page.app import page
from keeprate.deploy.page.source import Source
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.events import Event
from keeprate.sinks.closed import drift_states, release_verdicts
from keeprate.sinks.closed.drift_states import Kept
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.reading.scope import DIMENSIONS
from keeprate.sinks.store.clickhouse import connect
from tests.pages import NOW, NOW_MS, Held, firing, history, land

OWN, OTHER = "editor", "support"
DAYS_MS = 2 * 86_400_000
APPLICATION = page(Source("http://127.0.0.1:9"))
ROUTES = [route for route in APPLICATION.routes if isinstance(route, Route)]
READING = [route.path for route in ROUTES if "GET" in (route.methods or ()) and route.path.startswith("/api/")]
QUESTIONS = [path for path in READING if "{" not in path and not path.endswith(".jsonl")]
ASKED = [
    {"period": "7d", "by": "prompt_version", "metric": "retention", "horizon": "300"},
    {"period": "24h", "by": "app", "app": OWN, "language": "python"},
]


def log() -> list[Event]:
    """What two of the demo's apps sent within two days."""
    recent = (event for event in history() if event["occurred_at"] > NOW_MS - DAYS_MS)
    return [event for event in recent if event["app"] in (OWN, OTHER)]


@dataclass(frozen=True)
class Pages:
    """seen: the page as somebody with a role in one app sees it; alone: the same where there is no other app.

    whole: as anybody sees it who may see both.
    """

    seen: TestClient
    alone: TestClient
    whole: TestClient


def client_for(url: str, viewer: Viewer, apps: tuple[str, ...]) -> TestClient:
    """The page as one viewer sees it. apps: of which an alert fires."""

    def recognise(connection: HTTPConnection) -> Viewer:
        return viewer

    held = Held([firing("Watchdog", "none", ""), *(firing("KeeprateReleaseWorse", app=app) for app in apps)])
    access = PageAccess(recognise)
    return TestClient(page(Source(url), ("testserver",), lambda: NOW, access, alertmanager=held))


@pytest.fixture(scope="module")
def urls(store: StoreProcess) -> tuple[str, str]:
    """Two stores: with both apps, refusals of both and one of none, and with one of them alone."""
    both, alone = f"{store.url}/page_access_both", f"{store.url}/page_access_alone"
    land(both, log())
    land(alone, [event for event in log() if event["app"] == OWN])
    for url, apps in ((both, (OWN, OTHER)), (alone, (OWN,))):
        with connect(url) as client:
            letters = [refused(app, place) for place, app in enumerate((*apps, "") if url == both else apps)]
            client.insert("dead_letters", LETTER, letters)
            release_verdicts.keep(client, [each for app in apps for each in judged(app)])
            drift_states.keep(client, [alarmed(app) for app in apps])
            client.insert(
                "quality_batches", BATCH, [batch(app, outcome) for app in apps for outcome in ("accepted", "rejected")]
            )
    return both, alone


LETTER = (
    "topic",
    "partition",
    "offset",
    "recorded_at",
    "refused_at",
    "stage",
    "error_type",
    "field",
    "reason",
    "app",
    "value",
)
BATCH = (
    "kind",
    "source_app",
    "batch_at",
    "app",
    "prompt",
    "prompt_version",
    "model",
    "surface",
    "outcome",
    "count",
    "total",
)


def refused(app: str, place: int) -> tuple[object, ...]:
    """A record that was refused, of an app or of nobody knows which."""
    at = NOW - timedelta(minutes=5)
    return (
        "keeprate.feedback",
        0,
        place,
        at,
        at,
        "sink",
        "invalid",
        f"field_of_{app}",
        f"of {app}, got 'a word'",
        app,
        b"{}",
    )


def judged(app: str) -> list[KeptVerdict]:
    """What the monitor found of a release: worse, and open."""
    at = NOW - timedelta(days=1)
    named = (app, "prompt_version", f"prompt of {app}", f"v4 of {app}", "v3", at)
    counts, said = (500, 275, 400, 340), (-0.3, -0.35, -0.25, 50.0, 0.0, 0.001)
    worse = KeptVerdict(*named, "retention", 300, "concurrent", *counts, *said, "worse", at, 0.0, NOW)
    return [worse, replace(worse, metric="flag", horizon_s=0, verdict="not_yet", found_at=None, days_left=None)]


def alarmed(app: str) -> Kept:
    """A series that the detector holds for changed."""
    strong = [[20.0] * 5, [1.0] * 5, [NOW.timestamp() - 86_400] * 5]
    nothing = [[-1e308] * 5, [0.0] * 5, [0.0] * 5]
    return Kept((app, f"prompt of {app}", "v4", "m", "acceptance"), NOW, NOW, strong, nothing)


def batch(app: str, outcome: str) -> tuple[object, ...]:
    """A batch that the monitor closed."""
    at = NOW - timedelta(hours=3)
    return ("acceptance", app, at, app, f"prompt of {app}", "v4", "m", "s", outcome, 50, 50.0)


@pytest.fixture(scope="module")
def pages(urls: tuple[str, str]) -> Iterator[Pages]:
    """Three views."""
    ana = Viewer("ana", {OWN: "viewer"})
    both = (OWN, OTHER, "")
    with (
        client_for(urls[0], ana, both) as seen,
        client_for(urls[1], ana, (OWN,)) as alone,
        client_for(urls[0], ANYBODY, both) as whole,
    ):
        yield Pages(seen, alone, whole)


@pytest.mark.parametrize("path", QUESTIONS)
def test_an_answer_is_that_of_a_store_without_the_other_app(pages: Pages, path: str) -> None:
    """Numbers, names, lists, sheets and refusals: byte for byte, however they are asked for."""
    for asked in ASKED:
        seen, alone = (client.get(path, params=asked) for client in (pages.seen, pages.alone))
        assert (seen.status_code, OTHER in seen.text) == (alone.status_code, False)
        assert seen.text == alone.text


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_route_that_names_the_other_app_is_refused(pages: Pages, route: Route) -> None:
    """In its address or among its parameters, whatever the method. What names none is a file, the same for all."""
    method = next(iter((route.methods or {"GET"}) - {"HEAD"}))
    path = route.path.replace("{app}", OTHER).replace("{generation_id}", "0196b1c8-0000-7000-8000-000000000000")
    parameters = {} if "{app}" in route.path else {"app": OTHER}
    answer = pages.seen.request(method, path, params=parameters, json=None if method == "GET" else {})
    if route.path in PUBLIC or not (route.path.startswith("/api/") or "{app}" in route.path):
        assert method == "GET"
        assert answer.content == pages.alone.get(path).content
    else:
        assert answer.status_code == 403
        assert answer.json()["error"]["message"].startswith(f"You may not see '{OTHER}'")


def test_there_is_something_to_hide(pages: Pages) -> None:
    """Who may see both apps sees numbers, releases, alarms and refusals of both."""
    asked = {"period": "7d", "by": "app"}
    assert {each["name"] for each in pages.whole.get("/api/compare", params=asked).json()["groups"]} == {OWN, OTHER}
    for path, rows in (
        ("releases", "rows"),
        ("alarms", "rows"),
        ("alerts", "rows"),
        ("drift", "rows"),
        ("intake", "dead_letters"),
    ):
        assert OTHER in pages.whole.get(f"/api/{path}", params=asked).text
        assert pages.seen.get(f"/api/{path}", params=asked).json()[rows]


def test_a_release_is_told_the_same_wherever_it_is_told(pages: Pages) -> None:
    """Its difference and how it was found; why a verdict is open; and a name of none is named."""
    asked = {"app": OWN, "period": "7d", "horizon": "300", "metric": "retention"}
    (row,) = pages.seen.get("/api/releases", params=asked).json()["rows"]
    worse, open_ = sorted(
        pages.seen.get("/api/versions", params=asked).json()["judged"], key=lambda each: each["metric"], reverse=True
    )
    why = pages.seen.get("/api/why", params=asked | {"release": row["key"]}).json()
    assert f"{worse['points']} pp ({worse['between']})" in row["findings"][0]["short"]
    assert why["judged"] == f"{worse['points']} pp ({worse['between']}), {worse['how']}"
    assert row["how"] == worse["how"] == "side by side"
    assert open_["why_open"].startswith("2 metrics share the error: ")
    assert (why["missing"], why["in_both"]) == ("", [])
    stale = pages.seen.get("/api/why", params=asked | {"release": "editor/prompt_version//v1"}).json()
    assert (stale["release"], stale["missing"], stale["judged"]) == ("periods", "editor/prompt_version//v1", "")
    (older,) = pages.seen.get("/api/why", params=asked | {"release": "periods", "period": "6h"}).json()["in_both"]
    assert older["key"] == row["key"]


def test_every_route_is_walked() -> None:
    """But for the files of the page, which are the same for everybody."""
    rest = [route for route in APPLICATION.routes if not isinstance(route, Route)]
    assert [route.path for route in rest if isinstance(route, Mount)] == [""]
    assert len(rest) == 1
    assert len(QUESTIONS) > 25


def test_a_generation_of_the_other_app_is_not_told_by_any_address(pages: Pages) -> None:
    """Not even that there is one: the answer is the same for one that there is not."""
    there = next(event["generation_id"] for event in log() if event["app"] == OTHER and event["type"] == "generation")
    missing = "0196b1c8-0000-7000-8000-000000000000"
    answers = [pages.seen.get(f"/api/generations/{OTHER}/{each}") for each in (there, missing)]
    assert [each.status_code for each in answers] == [403, 403]
    assert answers[0].text == answers[1].text
    assert pages.seen.get(f"/api/generations/{OWN}/{there}").status_code == 404
    found: dict[str, Any] = pages.seen.get("/api/suggestions", params={"text": there}).json()
    assert found["rows"] == []


@pytest.mark.parametrize(("role", "reads"), [("viewer", False), ("reviewer", True), ("admin", True)])
def test_texts_are_for_the_role_that_the_settings_say(
    urls: tuple[str, str], role: Role, reads: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may not read them sees what happened and nothing that anybody wrote; only reading is logged, with a name."""
    caplog.set_level("INFO", "keeprate.content")
    identity, text = corrected()
    with client_for(urls[0], Viewer("bo", {OTHER: role}, texts_from="reviewer"), ()) as client:
        answer = client.get(f"/api/generations/{OTHER}/{identity}")
        told = client.get("/api/feedback", params={"period": "7d"}).json()["rows"]
        suite = client.get(f"/api/generations/{OTHER}/{identity}/cases.jsonl")
        refusals = client.get("/api/intake").json()["dead_letters"]
    assert answer.json()["withheld"] is not reads
    assert (text in [event.get("corrected_text") for event in answer.json()["events"]]) is reads
    assert any(row["comment"] for row in told) is reads
    assert [each["reason"] for each in refusals] == [f"of {OTHER}, got 'a word'" if reads else f"of {OTHER}"]
    assert suite.status_code == (200 if reads else 403)
    logged = [record.getMessage() for record in caplog.records if record.name == "keeprate.content"]
    assert {line.partition(" was read by ")[2] for line in logged} == ({"'bo' at testclient"} if reads else set())


def corrected() -> tuple[str, str]:
    """A generation of the other app that somebody corrected, and the correction."""
    edits: list[Any] = [event for event in log() if event["app"] == OTHER and event["type"] == "edit"]
    found = next(event for event in edits if event.get("corrected_text"))
    return found["generation_id"], found["corrected_text"]


def test_dimensions_are_all_walked(pages: Pages) -> None:
    """A cut by anything shows the values of the own app alone."""
    for name in DIMENSIONS:
        groups = [
            client.get("/api/compare", params={"period": "7d", "by": name}).json()["groups"]
            for client in (pages.seen, pages.alone)
        ]
        assert groups[0] == groups[1], name


@pytest.fixture(scope="module")
def document(pages: Pages) -> dict[str, Any]:
    """What the API says of itself."""
    found: dict[str, Any] = pages.whole.get("/api/openapi.json").json()
    return found


def found_in(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or what it refers to."""
    for name in part.get("$ref", "").split("/")[1:]:
        document = document[name]
    return document if "$ref" in part else part


def test_every_route_is_described_with_what_it_takes_and_answers(document: dict[str, Any]) -> None:
    """Made from the routes: none is missing, and none is described that there is not."""
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    there = {(route.path, method.lower()) for route in ROUTES for method in route.methods or () if method != "HEAD"}
    assert described == {(path, method) for path, method in there if path.startswith("/api/")}
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            ((_, content),) = operation["responses"]["200"]["content"].items()
            assert content["schema"], path
    operations = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(operations)) == len(operations)


def test_a_parameter_that_is_described_is_taken_and_no_other(pages: Pages, document: dict[str, Any]) -> None:
    """With its first value where it offers some."""
    for path in QUESTIONS:
        parameters = [found_in(document, each) for each in document["paths"][path]["get"]["parameters"]]
        given = {each["name"]: each["schema"] for each in parameters}
        values = {name: schema.get("enum", [None])[-1] for name, schema in given.items()}
        values |= {name: "1" for name in values if name in ("limit", "horizon")}
        asked = {name: value for name, value in values.items() if value}
        assert pages.whole.get(path, params=asked).status_code == 200, (path, asked)
        if given:
            assert pages.whole.get(path, params={"nothing": "1"}).status_code == 400


@pytest.mark.parametrize("path", [path for path in READING if not path.endswith((".csv", ".jsonl"))])
def test_answers_are_of_the_types_that_are_described(pages: Pages, document: dict[str, Any], path: str) -> None:
    """Field by field: one that is not described, or described and missing, is found; so are errors."""
    address = path.replace("{app}", OTHER).replace("{generation_id}", corrected()[0])
    responses = document["paths"][path]["get"]["responses"]
    wrong = pages.whole.get(address, params={"period": "1y"}) if "{" not in path else pages.whole.get(path)
    samples = [pages.whole.get(address, params=asked) for asked in SAMPLES]
    for answer in (*samples, pages.seen.get(address), wrong):
        (content,) = found_in(document, responses[str(answer.status_code)])["content"].values()
        schema = {**content["schema"], "components": document["components"]}
        jsonschema.validate(answer.json(), schema, jsonschema.Draft202012Validator)


SAMPLES: list[dict[str, str]] = [{}, {"period": "7d", "by": "language"}, {"period": "1h"}]


@pytest.mark.parametrize("path", [path for path in QUESTIONS if path.endswith(".csv")])
def test_a_sheet_has_the_rows_of_its_answer(pages: Pages, path: str) -> None:
    """Names in the first line, and in each row as many cells."""
    answer = pages.whole.get(path, params={"period": "7d", "by": "prompt_version"})
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert answer.headers["content-disposition"].startswith("attachment")
    assert rows or path in ("/api/accounts.csv", "/api/why.csv", "/api/cases.csv")
    assert {len(row) for row in rows} <= {len(head)}
    assert len(set(head)) == len(head)


def test_a_sheet_of_a_chart_has_its_numbers(pages: Pages) -> None:
    """Unrounded, with times as text."""
    asked = {"period": "7d", "by": "prompt_version", "metric": "retention"}
    rows = list(csv.DictReader(io.StringIO(pages.whole.get("/api/series.csv", params=asked).text)))
    groups = pages.whole.get("/api/series", params=asked).json()["groups"]
    points = [(group["name"], point) for group in groups for point in group["points"]]
    assert [(row["group"], row["numerator"], row["value"]) for row in rows] == [
        (name, str(point["numerator"]), "" if point["value"] is None else str(point["value"])) for name, point in points
    ]
    assert rows[0]["at"].endswith("+00:00")
