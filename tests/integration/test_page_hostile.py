"""What no page of ours sends: odd parameters, places and bodies wherever the API takes some; changes from elsewhere."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from keeprate.deploy.page.access import people
from keeprate.deploy.page.access.login import COOKIE, access
from keeprate.deploy.page.access.people import FILE_NAME, add_token
from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.deploy.page.app import page
from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.page.source import Source
from keeprate.deploy.review.book import Book
from keeprate.deploy.review.sending import Outbox
from keeprate.deploy.review.settings import ReviewSettings
from keeprate.deploy.store import StoreProcess
from keeprate.producers.testing import Recorded, recording
from keeprate.schemas.events import Event
from tests.integration.test_page_api import ODD
from tests.pages import NOW, NOW_MS, history, land

OWN, OTHER = "editor", "support"
HOURS_MS = 6 * 3_600_000
DOCUMENT: Any = TestClient(page(Source("http://127.0.0.1:9"), hosts=("testserver",))).get("/api/openapi.json").json()
POSTS = sorted(path for path, item in DOCUMENT["paths"].items() if "post" in item)
READING = sorted(path for path, item in DOCUMENT["paths"].items() if "get" in item)
NUMBERS = ["-1", "501", "1000000000", "99999999999999999999", "1_0", "٣", "+5", "0x10", "5 ", "1.0", "1e3"]
WORDS = ["1000y", "0d", "-7d", "7D", "7d,30d", "newest,worst", "flagged,", ",", "flagged," * 20, "kept;DROP", "1,1"]


OWN_NAMES = {"fate", "signal", "text", "order", "after", "backwards", "limit", "format", "release", "reviewer", "queue"}
"""Parameters that few questions have; `test_page_api` has odd values for the others."""
SOME = OWN_NAMES | {"app", "period", "horizon", "by"}


@cache
def log() -> list[Event]:
    """The last hours of two of the demo's apps: a list that is read to its end is asked for a thousand times."""
    return [event for event in history() if event["occurred_at"] > NOW_MS - HOURS_MS and event["app"] in (OWN, OTHER)]


@cache
def generation_of(app: str) -> str:
    """The id of one generation of an app."""
    found = (event for event in log() if event["type"] == "generation" and event["app"] == app)
    return str(next(found)["generation_id"])


def tampered() -> list[str]:
    """Places as the API gives them out, changed by hand."""
    shown = generation_of(OWN)
    place = "~".join(("0", str(NOW_MS), shown, "0", OWN))
    return [
        *(
            "~",
            "~~~~",
            "0~0~0~0~0",
            place.replace("0~", "9~", 1),
            place.replace("0~", "-1~", 1),
            f"{place}~",
            f"{place}'",
        ),
        f"0~{'9' * 100}~{shown}~0~{OWN}",
        f"0~-{1 << 61}~{shown}~0~{OWN}",
        f"0~{(1 << 62) - 1}~{shown}~65535~\U0010ffff",
        f"0~1e3~{shown}~0~{OWN}",
        f"0~{NOW_MS}~{shown}~70000~{OWN}",
        f"0~{NOW_MS}~{{{shown}}}~0~\x00",
        place.replace(OWN, OTHER),
    ]


def parameters(path: str) -> list[str]:
    """Those that a question takes, as the document has them."""
    names = []
    for each in DOCUMENT["paths"][path]["get"].get("parameters", ()):
        named = DOCUMENT["components"]["parameters"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        names += [named["name"]] if named["in"] == "query" else []
    return names


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> str:
    """A database with some hours of two of the demo's apps."""
    url = f"{store.url}/page_hostile"
    land(url, log())
    return url


@pytest.fixture(scope="module")
def emitted() -> Iterator[Recorded]:
    with recording() as recorded:
        yield recorded


@pytest.fixture(scope="module")
def api(url: str, emitted: Recorded) -> Iterator[TestClient]:
    """A page that takes reviews and lets in anybody. An error of the server is raised here, and fails the test."""
    desk = Desk(ReviewSettings(), Book(":memory:"), Outbox(brokers="nowhere:1"))
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW, desk=desk)) as client:
        yield client


def address(path: str) -> str:
    return path.replace("{app}", OWN).replace("{generation_id}", generation_of(OWN))


def is_refusal(answer: Any) -> bool:
    """Whether it is a refusal that says something, as JSON and short."""
    return 400 <= answer.status_code < 500 and 10 < len(answer.json()["error"]["message"]) < 700


@pytest.mark.parametrize("path", [path for path in READING if OWN_NAMES & {*parameters(path)}])
def test_no_parameter_that_few_questions_have_is_an_error_of_the_server(api: TestClient, path: str) -> None:
    """Each odd value is answered, or refused with the parameter, the value's beginning and what would do."""
    for name in sorted({*parameters(path)} & OWN_NAMES):
        for value in (*ODD, *NUMBERS, *WORDS, *(tampered() if name == "after" else ())):
            answer = api.get(
                address(path), params={"period": "24h", name: value} if name != "period" else {name: value}
            )
            if answer.status_code != 200:
                assert is_refusal(answer), (name, value, answer.text)
                assert answer.status_code in (400, 404, 409), (name, value, answer.text)
                if answer.status_code == 400 and "/review/" not in path:
                    assert name in answer.json()["error"]["message"], (name, value, answer.text)


@pytest.mark.parametrize("path", READING)
def test_what_is_no_text_or_is_said_often_is_an_answer_or_a_refusal(api: TestClient, path: str) -> None:
    """Bytes that are no UTF-8, a name a thousand times, one parameter with two values, and one that nobody knows."""
    for query in (
        *(f"{name}=%ff%fe%00" for name in sorted({*parameters(path)} & SOME)),
        *(f"{name}=a&{name}=b" for name in sorted({*parameters(path)} & SOME)),
        "app[]=a&app[0]=b",
        "&".join(f"language=l{number}" for number in range(1000)),
        "&".join(f"n{number}=" for number in range(1000)),
        *("%ff=1", "=", "&&&", "a" * 8000, "period=7d%26app%3Dx", "app=" + "%F0%9F%98%80" * 200),
    ):
        answer = api.get(f"{address(path)}?{query}")
        assert answer.status_code == 200 or is_refusal(answer), (query[:100], answer.text)
        assert answer.status_code == 400 or "%ff" not in query, query


@pytest.mark.parametrize("path", ["/api/suggestions", "/api/explore", "/api/suggestions.csv", "/api/cases.jsonl"])
def test_a_place_leads_nowhere_that_the_question_does_not(api: TestClient, path: str) -> None:
    """Whoever writes one by hand gets suggestions of the app that is asked for, or a refusal."""
    for value in tampered():
        for more in ({}, {"backwards": "1"}, {"order": "worst"}):
            answer = api.get(path, params={"app": OWN, "period": "24h", "after": value, **more})
            assert generation_of(OTHER) not in answer.text
            assert answer.status_code == 200 or is_refusal(answer), (value, answer.text)


BODIES: list[bytes] = [
    *(b"", b"null", b"[]", b"{", b"\xff", b"[" * 500_000, b'{"queue":' * 500 + b"1" + b"}" * 500, b'{"queue":NaN}'),
    *(b'{"queue":"\\ud800"}', b'{"queue":' + b"9" * 100_000 + b"}", b'"' + b"a" * 900_000 + b'"', b"{}" * 2),
    b"x" * (2 << 20),
]
FIELDS: list[Any] = [None, True, 0, -1, 1e308, 10**400, [], {}, [[]], {"a": {}}, "", "\x00", "\u202e" * 50, "a" * 5000]


@pytest.mark.parametrize("path", POSTS)
def test_no_body_is_an_error_of_the_server(api: TestClient, emitted: Recorded, path: str) -> None:
    """Nor is any field of one: each is refused, and nothing is sent."""
    for content in BODIES:
        answer = api.post(path, content=content, headers={"content-type": "application/json"})
        assert is_refusal(answer), (content[:50], answer.text)
    whole = {"reviewer": "Ann", "queue": "flagged", "app": OWN, "generation_id": generation_of(OWN), "vote": "good"}
    for name in (*whole, "choice_index", "labels", "answers", "corrected", "comment", "words", "odd"):
        for value in FIELDS:
            answer = api.post(path, content=json.dumps(whole | {name: value}).encode(), headers=JSON)
            assert answer.status_code in (200, 204) or is_refusal(answer), (name, value, answer.text)
    assert all(event["app"] == OWN for event in emitted.events)


JSON = {"content-type": "application/json"}
ELSEWHERE = [
    *({**JSON, "sec-fetch-site": site} for site in ("cross-site", "same-site", "none")),
    *({**JSON, "origin": origin} for origin in ("http://evil.example", "null", "http://testserver.evil.example")),
    *({"content-type": kind} for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json5")),
    {**JSON, "sec-fetch-site": "cross-site", "origin": "http://testserver"},
    {},
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, whose file of people is read at each request."""
    monkeypatch.setattr(people, "_RELOAD_S", -1.0)
    return tmp_path


@pytest.fixture
def guarded(url: str, home: Path) -> Iterator[TestClient]:
    """A page that knows people by tokens, and takes reviews."""
    desk = Desk(ReviewSettings(), Book(":memory:"), Outbox(brokers="nowhere:1"))
    who = access(AccessSettings(by="tokens"), home)
    with TestClient(page(Source(url), ("testserver",), lambda: NOW, who, desk=desk)) as client:
        yield client


def test_nothing_is_changed_from_elsewhere_by_any_route(guarded: TestClient, home: Path) -> None:
    """With the cookie of somebody who may do it: forms, scripts of other sites, and browsers that say nothing."""
    guarded.post("/api/login", json={"token": add_token(home / FILE_NAME, "ann", ["*"], "admin", None)})
    assert guarded.get("/api/me").status_code == 200
    for path in {*POSTS, "/api/login", "/api/logout"}:
        for headers in ELSEWHERE:
            assert guarded.post(path, content=b"{}", headers=headers).status_code in (403, 415), (path, headers)
        for method in ("PUT", "PATCH", "DELETE"):
            headers = {**JSON, "sec-fetch-site": "same-origin"}
            assert guarded.request(method, path, content=b"{}", headers=headers).status_code == 405
        assert guarded.get(path).status_code in (404, 405)
    assert guarded.get("/api/me").status_code == 200


def test_whoever_loses_a_role_loses_it_in_the_middle_of_a_session(guarded: TestClient, home: Path) -> None:
    """Also what was theirs to do: a suggestion that they hold is judged by them no more."""
    path, ours = home / FILE_NAME, {"sec-fetch-site": "same-origin"}
    guarded.post("/api/login", json={"token": add_token(path, "ann", [OWN, OTHER], "reviewer", None)})
    claimed = guarded.post("/api/review/claim", json={"queue": "flagged"}, headers=ours).json()["items"]
    assert claimed
    path.write_text(path.read_text("utf-8").replace("reviewer", "viewer"), "utf-8")
    for item in claimed:
        said = {"queue": "flagged", "vote": "bad", **item}
        for what in ("submit", "skip"):
            assert guarded.post(f"/api/review/{what}", json=said, headers=ours).status_code == 403
        asked = {"queue": "flagged", "choice_index": item["choice_index"]}
        held = f"/api/review/items/{item['app']}/{item['generation_id']}"
        assert guarded.get(held, params=asked).status_code == 403
    assert guarded.post("/api/review/claim", json={"queue": "flagged"}, headers=ours).json()["items"] == []
    path.write_text(path.read_text("utf-8").replace(f'"{OTHER}"', f'"{OWN}"'), "utf-8")
    assert guarded.get(f"/api/summary?app={OTHER}").status_code == 403
    assert OTHER not in guarded.get("/api/compare", params={"by": "app", "period": "24h"}).text


def test_a_session_is_whose_who_logged_in_last(guarded: TestClient, home: Path) -> None:
    """One that somebody planted before the login has nothing to do with it, and opens nothing of theirs."""
    path = home / FILE_NAME
    guarded.headers["sec-fetch-site"] = "same-origin"
    guarded.post("/api/login", json={"token": add_token(path, "eve", [OTHER], "viewer", None)})
    planted = dict(guarded.cookies)[COOKIE]
    guarded.post("/api/login", json={"token": add_token(path, "ann", [OWN], "viewer", None)})
    mine = dict(guarded.cookies)[COOKIE]
    assert guarded.get("/api/me").json()["roles"] == {OWN: "viewer"}
    guarded.cookies.clear()
    assert mine != planted
    for cookie, roles in ((planted, {OTHER: "viewer"}), (mine, {OWN: "viewer"})):
        answer = guarded.get("/api/me", headers={"cookie": f"{COOKIE}={cookie}"})
        assert answer.json()["roles"] == roles
    for cookie in ("", "e30=", planted[:-3], f"{planted}A", planted.replace(".", "..", 1), quote("\x00\xff")):
        assert guarded.get("/api/me", headers={"cookie": f"{COOKIE}={cookie}"}).status_code == 401


def test_a_viewer_of_one_app_does_nothing_in_another_by_any_body(guarded: TestClient, home: Path) -> None:
    """Named in a body, in the address, twice, in another case or encoded."""
    token = add_token(home / FILE_NAME, "ann", [OWN], "reviewer", None)
    guarded.headers["authorization"] = f"Bearer {token}"
    item = {"app": OTHER, "generation_id": generation_of(OTHER), "choice_index": 0}
    for path in POSTS:
        answer = guarded.post(path, json={"queue": "flagged", "vote": "bad", "reviewer": "x", **item})
        assert generation_of(OTHER) not in answer.text
        assert path in ("/api/review/claim", "/api/review/undo") or answer.status_code == 403, path
    hidden = generation_of(OTHER)
    for path in (
        *(f"/api/generations/{OTHER}/{hidden}{end}" for end in ("", "/cases.jsonl", "?app=editor")),
        f"/api/generations/%73upport/{hidden}",
        f"/api/review/items/{OTHER}/{hidden}?queue=flagged&app={OWN}",
        f"/suggestions/{OTHER}/{hidden}",
        *(f"/api/suggestions{end}?app={OWN}&app={OTHER}" for end in ("", ".csv")),
        f"/api/cases.jsonl?app={OTHER}",
        f"/api/review?app={OTHER}",
        f"/api/suggestions?%61pp={OTHER}",
    ):
        assert guarded.get(path, follow_redirects=False).status_code == 403, path
    for path in (
        f"/api/generations/{OWN}/{hidden}",
        f"/api/generations/{OWN}/{hidden}/cases.jsonl",
        f"/api/suggestions?text={hidden}",
        f"/api/suggestions?app=SUPPORT&text={hidden}",
        f"/api/suggestions?app={OTHER}%00",
        f"/api/suggestions?app[]={OTHER}",
        f"/api//generations/{OTHER}/{hidden}",
        f"//api/generations/{OTHER}/{hidden}",
        f"/api/suggestions.csv?text={hidden}",
        f"/api/cases.jsonl?text={hidden}",
    ):
        answer = guarded.get(path)
        assert answer.status_code < 500
        assert hidden not in answer.text.replace(f"text={hidden}", ""), path
