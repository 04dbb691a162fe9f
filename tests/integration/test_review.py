"""Reviews over a real store: two experts at once, ten suggestions, and users' numbers that stay as they are."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from rich.console import Console
from starlette.testclient import TestClient

from keeprate.deploy.page.access.doors import PageAccess
from keeprate.deploy.page.access.viewer import Viewer
from keeprate.deploy.page.app import page
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.reviewing import queues
from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.page.source import Source
from keeprate.deploy.review import agreeing, reading, terminal
from keeprate.deploy.review.book import Book
from keeprate.deploy.review.choosing import Candidate
from keeprate.deploy.review.sending import Outbox, pseudonym
from keeprate.deploy.review.settings import Queue, ReviewSettings
from keeprate.deploy.store import StoreProcess
from keeprate.producers.testing import Recorded, recording
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.lists import candidates
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.voices import Scale, Scales
from keeprate.sinks.store.clickhouse import Client, connect
from tests.pages import NOW, history, land

HORIZON_S = 600
SCOPE = Scope(NOW - timedelta(days=7), NOW, NOW)
TEN = Queue(name="ten", title="Ten", rule="not_kept", horizon_s=HORIZON_S, reviewers=2, most=10, apps=("editor",))
SETTINGS = ReviewSettings(queues=(TEN, *ReviewSettings().queues))


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> str:
    """A database with the demo's history."""
    url = f"{store.url}/review"
    land(url, history())
    return url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    """The store itself."""
    with connect(url) as client:
        yield client


@pytest.fixture
def emitted() -> Iterator[Recorded]:
    """What the page's own SDK client emits, which is the real one but for the delivery."""
    with recording() as recorded:
        yield recorded


@pytest.fixture
def api(url: str, emitted: Recorded) -> Iterator[TestClient]:
    """A page that takes reviews, at a fixed time."""
    desk = Desk(SETTINGS, Book(":memory:"), Outbox(brokers="nowhere:1"))
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW, desk=desk)) as api:
        yield api


DOCUMENT: Any = TestClient(page(Source("http://127.0.0.1:9"), hosts=("testserver",))).get("/api/openapi.json").json()
"""What the API says of itself, for machines that review."""


def body_schema(what: str) -> dict[str, Any]:
    """What a body must be, as the document has it."""
    body = DOCUMENT["paths"][f"/api/review/{what}"]["post"]["requestBody"]
    return {**body["content"]["application/json"]["schema"], "components": DOCUMENT["components"]}


def say(api: TestClient, what: str, reviewer: str, **said: Any) -> Any:
    body = {"reviewer": reviewer, "queue": "ten"} | said
    jsonschema.validate(body, body_schema(what), jsonschema.Draft202012Validator)
    answer = api.post(f"/api/review/{what}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def users_numbers(client: Client) -> list[Any]:
    """What users did and said, by version: everything that experts must not change."""
    scope = Scope(SCOPE.since, SCOPE.until, SCOPE.as_of, by=("app", "prompt_version"))
    rates = [*queries.rates(client, scope), *queries.feedback_rates(client, scope), *queries.retention(client, scope)]
    return [str(each) for each in rates]


def test_two_experts_at_once_review_ten_suggestions(
    url: str, client: Client, api: TestClient, emitted: Recorded
) -> None:
    """Each is judged by both once, by nobody a third time; what they said lands as events; users' numbers stay."""
    before = users_numbers(client)
    spoken: list[tuple[str, str]] = []

    def work(reviewer: str) -> None:
        while items := say(api, "claim", reviewer)["items"]:
            vote = "bad" if int(items[0]["generation_id"][-1], 16) % 2 else "good"
            correction = {"corrected": "as it should be"} if vote == "bad" else {}
            assert say(api, "submit", reviewer, vote=vote, labels=["incorrect"], **items[0], **correction)["sent"]
            spoken.append((reviewer, items[0]["generation_id"]))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("Ann", "Bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(spoken)) == len(spoken) == 20
    assert set(Counter(generation_id for _, generation_id in spoken).values()) == {2}
    assert say(api, "claim", "Cyd")["items"] == []
    board = api.get("/api/review", params={"reviewer": "Ann"}).json()
    (ten,) = [queue for queue in board["queues"] if queue["name"] == "ten"]
    assert (ten["suggestions"], ten["complete"], ten["open"]) == (10, 10, 0)
    assert {each["reviewer"]: each["done"] for each in ten["progress"]} == {pseudonym("Ann"): 10, pseudonym("Bob"): 10}
    assert [board["names"][pseudonym(name)] for name in ("Ann", "Bob")] == ["Ann", "Bob"]
    assert {event["type"] for event in emitted.events} == {"evaluation", "edit"}
    land(url, [*history(), *emitted.events])
    assert users_numbers(client) == before
    # A page whose file was lost learns from the store who judged what.
    found = reading.candidates(client, TEN, NOW, HORIZON_S, Scales())
    assert {each.known for each in found} == {frozenset(map(pseudonym, ("Ann", "Bob")))}
    agreed = reading.agreement(client, SCOPE, HORIZON_S, Scales())
    (experts,) = [each for each in agreed.together if each.title == "experts, good or bad"]
    assert experts.alpha.value == 1
    assert {each.voice.name for each in agreed.reviewers} >= set(map(pseudonym, ("Ann", "Bob")))


def test_nobody_reads_what_others_said_before_they_speak(url: str, api: TestClient) -> None:
    """Judges and experts are not in what a reviewer is sent; in a blind queue users are not, either."""
    kinds: dict[str, set[str]] = {}
    for queue in ("disputed", "random"):
        (item, *_) = say(api, "claim", "Ann", queue=queue)["items"]
        address = f"/api/review/items/{item['app']}/{item['generation_id']}"
        found = api.get(address, params={"reviewer": "Ann", "queue": queue}).json()
        kinds[queue] = {event["type"] for event in found["events"]}
        whole = api.get(f"/api/generations/{item['app']}/{item['generation_id']}").json()
        assert found["generation"] == whole["generation"]
        assert len(found["events"]) < len(whole["events"]) or queue == "random"
    assert "evaluation" not in kinds["disputed"]
    assert kinds["random"] == {"generation"}


def test_what_others_said_is_not_read_by_another_address_either(url: str, emitted: Recorded) -> None:
    """What a reviewer holds is blind everywhere until they have spoken; what they read in full is not given to them."""
    access = PageAccess(lambda connection: Viewer(connection.headers["authorization"], {"*": "reviewer"}))
    desk = Desk(SETTINGS, Book(":memory:"), Outbox(brokers="nowhere:1"))
    with TestClient(page(Source(url), ("testserver",), lambda: NOW, access, desk=desk)) as api:

        def story(who: str, item: dict[str, Any]) -> dict[str, Any]:
            api.headers["authorization"] = who
            found: dict[str, Any] = api.get(f"/api/generations/{item['app']}/{item['generation_id']}").json()
            return found

        api.headers["authorization"] = "ann"
        (blind, *_) = say(api, "claim", "", queue="random")["items"]
        (judged, *_) = say(api, "claim", "", queue="disputed")["items"]
        assert [event["type"] for event in story("ann", blind)["events"]] == ["generation"]
        seen = story("ann", judged)
        assert seen["blind"]
        assert "evaluation" not in {event["type"] for event in seen["events"]}
        case = f"/api/generations/{judged['app']}/{judged['generation_id']}/cases.jsonl"
        assert api.get(case).status_code == 409
        whole = story("eve", judged)
        assert not whole["blind"]
        assert "evaluation" in {event["type"] for event in whole["events"]}
        # Ann holds one of its two places; the other one is not Eve's any more, whichever way she asks.
        assert judged not in say(api, "claim", "", queue="disputed")["items"]
        said = judged | {"queue": "disputed", "vote": "good"}
        answer = api.post("/api/review/submit", json=said)
        assert (answer.status_code, "read what others say" in answer.text) == (409, True)
        api.headers["authorization"] = "ann"
        assert say(api, "submit", "", **said)["events"] == 1
        assert story("ann", judged) == whole
    assert len(emitted.events) == 1


FLAGGED = Queue(name="open", title="Open", rule="flagged", apps=("support",))
HIDING = ReviewSettings(queues=(FLAGGED, FLAGGED.model_copy(update={"name": "blind", "blind": True})))


def test_another_queues_name_shows_no_more_and_gives_no_place(url: str, emitted: Recorded) -> None:
    """Of what a blind queue gave, and of what nobody was given yet; and one that wants one reviewer has no second."""
    queues = (*HIDING.queues, Queue(name="two", title="Two", rule="disputed", apps=("editor",), reviewers=2))
    now = [NOW]
    desk = Desk(ReviewSettings(queues=queues), Book(":memory:"), Outbox(brokers="nowhere:1"))
    with TestClient(page(Source(url), ("testserver",), lambda: now[0], desk=desk)) as api:

        def kinds(who: str, item: dict[str, Any]) -> set[str]:
            asked = {"reviewer": who, "queue": "open", "choice_index": item["choice_index"]}
            found = api.get(f"/api/review/items/{item['app']}/{item['generation_id']}", params=asked).json()
            return {event["type"] for event in found["events"]}

        (item, *_) = say(api, "claim", "Ann", queue="blind")["items"]
        assert kinds("Ann", item) == kinds("Bob", item) == {"generation"}
        assert say(api, "claim", "Ann", queue="open")["items"][0] == item
        assert kinds("Ann", item) == {"generation"}
        say(api, "skip", "Ann", queue="blind", **item)
        assert kinds("Ann", item) == {"generation"}
        (item, *_) = say(api, "claim", "Cyd", queue="open")["items"]
        assert "flag" in kinds("Cyd", item)
        now[0] = NOW + timedelta(minutes=16)
        assert item in say(api, "claim", "Dee", queue="open")["items"]
        say(api, "submit", "Dee", queue="open", vote="good", **item)
        said = {"reviewer": "Cyd", "queue": "two", "vote": "bad", **item}
        assert api.post("/api/review/submit", json=said).status_code == 409
    assert len(emitted.events) == 1


PLAIN = ("/api/me", "/api/meta", "/api/openapi.json", "/api/review")
"""What is asked without a selection."""
READING = sorted(path for path, item in DOCUMENT["paths"].items() if "get" in item and "{" not in path)
LISTS = ("/api/suggestions", "/api/explore", "/api/suggestions.csv", "/api/cases.jsonl")
FEEDBACK = ("/api/feedback", "/api/feedback.csv", "/api/screen")


def test_no_list_sheet_or_suite_tells_of_what_a_reviewer_holds(url: str, emitted: Recorded) -> None:
    """Of all that can be asked, nothing names it but its own address; others find it, and so does who has spoken."""
    access = PageAccess(lambda connection: Viewer(connection.headers["authorization"], {"*": "reviewer"}))
    settings = ReviewSettings(queues=(Queue(name="ten", title="Ten", rule="flagged", blind=True, reviewers=2),))
    desk = Desk(settings, Book(":memory:"), Outbox(brokers="nowhere:1"))
    with TestClient(page(Source(url), ("testserver",), lambda: NOW, access, desk=desk)) as api:

        def telling(who: str, paths: Sequence[str] = (*LISTS, *FEEDBACK)) -> set[str]:
            """The addresses that name it to somebody; lists are asked for it, and for what it is in its queue for."""
            api.headers["authorization"] = who
            found = set()
            for path in paths:
                asked = {} if path in PLAIN else {"period": "30d", "app": item["app"]}
                asked |= {"text": item["generation_id"], "signal": "flagged"} if path in LISTS else {}
                answer = api.get(path, params=asked)
                assert answer.status_code in (200, 404), (path, answer.text)
                found |= {path} if item["generation_id"] in answer.text else set()
            return found

        api.headers["authorization"] = "ann"
        (item, *_) = say(api, "claim", "")["items"]
        assert telling("ann", READING) == set()
        assert telling("eve") == {*LISTS, *FEEDBACK}
        # Who made a case of it has read it whole.
        assert item not in say(api, "claim", "")["items"]
        api.headers["authorization"] = "ann"
        say(api, "submit", "", vote="bad", **item)
        assert telling("ann") == {*LISTS, *FEEDBACK}


def test_undo_is_events_too_and_gives_the_suggestion_back(api: TestClient, emitted: Recorded) -> None:
    """The latest word of the reviewer is that they say nothing, and the suggestion is theirs again."""
    (item, *_) = say(api, "claim", "Dee", queue="flagged")["items"]
    say(api, "submit", "Dee", queue="flagged", vote="bad", corrected="right", **item)
    undone = say(api, "undo", "Dee", queue="flagged")
    assert (undone["item"], undone["words"]) == (item, {"expert_vote": "bad"})
    vote, edit, withdrawn, unedited = map(dict[str, Any], emitted.events)
    assert (vote["label"], withdrawn["label"]) == ("bad", "withdrawn")
    assert (edit["origin"], unedited["origin"], unedited["distance"]) == ("expert", "expert", 0)
    assert withdrawn["occurred_at"] > vote["occurred_at"]
    assert say(api, "claim", "Dee", queue="flagged")["items"][0] == item


def test_what_others_took_meanwhile_is_not_written_over(url: str, emitted: Recorded) -> None:
    """After the reservation ended and somebody else spoke, the first is told, and nothing of theirs is sent."""
    now = [NOW]
    one = ReviewSettings(queues=(Queue(name="ten", title="One", rule="flagged", most=1, apps=("support",)),))
    desk = Desk(one, Book(":memory:"), Outbox(brokers="nowhere:1"))
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: now[0], desk=desk)) as api:
        (item,) = say(api, "claim", "Ann")["items"]
        assert say(api, "claim", "Bob")["items"] == []
        now[0] = NOW + timedelta(minutes=15)
        assert say(api, "claim", "Bob")["items"] == [item]
        say(api, "submit", "Bob", vote="good", **item)
        said = {"reviewer": "Ann", "queue": "ten", "vote": "bad", **item}
        answer = api.post("/api/review/submit", json=said)
    assert answer.status_code == 409
    assert "15 minutes were over" in answer.json()["error"]["message"]
    assert len(emitted.events) == 1


def test_the_page_takes_reviews_from_pages_of_its_own_alone(api: TestClient, url: str) -> None:
    """No form, no other site, nobody without a name; and a page that only reads takes none."""
    said = {"reviewer": "Ann", "queue": "ten"}
    form = api.post("/api/review/claim", content="{}", headers={"content-type": "text/plain"})
    assert form.status_code == 415
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example"}):
        assert api.post("/api/review/claim", json=said, headers=headers).status_code == 403
    assert api.post("/api/review/claim", json={"queue": "ten"}).status_code == 400
    assert api.post("/api/review/claim", json=said | {"queue": "none"}).status_code == 409
    for body in (b"[", b"[" * 100_000, b'{"reviewer":"Ann","queue":"\\ud83d"}', b'{"queue":NaN}'):
        assert (
            api.post("/api/review/claim", content=body, headers={"content-type": "application/json"}).status_code == 400
        )
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW)) as reads:
        assert reads.get("/api/review").json()["on"] is False
        assert reads.post("/api/review/claim", json=said).status_code == 403


def test_what_a_body_needs_is_described(api: TestClient) -> None:
    """Without one of the fields that the document requires it is refused, and the document refuses it too."""
    (item, *_) = say(api, "claim", "Eve", queue="flagged")["items"]
    whole = {"reviewer": "Eve", "queue": "flagged", "vote": "good", **item}
    for what in ("claim", "submit", "skip", "undo"):
        schema = body_schema(what)
        required = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["required"]
        assert "queue" in required
        for name in required:
            body = {key: value for key, value in whole.items() if key != name}
            assert 400 <= api.post(f"/api/review/{what}", json=body).status_code < 500, (what, name)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(body, schema, jsonschema.Draft202012Validator)


def test_who_may_not_review_an_app_is_given_nothing_of_it(url: str, emitted: Recorded) -> None:
    """A reviewer of one app sees suggestions of that alone; a viewer is given none, and says nothing."""
    people = {"ann": Viewer("ann", {"support": "reviewer"}), "vic": Viewer("vic", {"editor": "viewer"})}
    access = PageAccess(lambda connection: people[connection.headers["authorization"]])
    desk = Desk(SETTINGS, Book(":memory:"), Outbox(brokers="nowhere:1"))
    with TestClient(page(Source(url), ("testserver",), lambda: NOW, access, desk=desk)) as api:
        api.headers["authorization"] = "ann"
        # A name that is said is nobody's where the page knows people.
        (item, *_) = say(api, "claim", "vic", queue="flagged")["items"]
        assert item["app"] == "support"
        assert say(api, "claim", "", queue="ten")["items"] == []
        board = api.get("/api/review").json()
        assert board["reviewer"] == {"id": pseudonym("ann"), "name": "ann", "is_known": True}
        api.headers["authorization"] = "vic"
        said = {"queue": "ten", "vote": "bad", "app": "editor", "generation_id": item["generation_id"]}
        assert api.post("/api/review/claim", json=said).json()["items"] == []
        assert api.post("/api/review/submit", json=said).status_code == 403
        assert pseudonym("ann") not in api.get("/api/review").json()["names"]
    assert emitted.events == []


def test_every_queue_holds_what_its_rule_says(client: Client) -> None:
    """Flags stand, texts are gone or changed, judge and user differ, the sample is a sample, and orders are total."""
    found = {
        queue.rule: reading.candidates(client, queue, NOW, HORIZON_S, Scales()) for queue in ReviewSettings().queues
    }
    assert all(found.values()), {rule: len(each) for rule, each in found.items()}
    rows = {rule: rows_of(client, each) for rule, each in found.items()}
    assert all(row["flag_labels"] for row in rows["flagged"])
    assert all(row["state"] in ("changed", "removed") for row in rows["not_kept"])
    for row in rows["disputed"]:
        assert {"correct": "good", "incorrect": "bad"}.keys() & set(row["labels"])
    assert found["random"] == reading.candidates(client, ReviewSettings().queues[3], NOW, HORIZON_S, Scales())
    assert len(set(found["informative"])) == len(found["informative"])


def rows_of(client: Client, found: Sequence[Candidate]) -> list[dict[str, Any]]:
    return client.query_dicts(
        "SELECT flag_labels, checks.state[indexOf(checks.horizon_s, {horizon_s:UInt32})] AS state, "
        "judged.label AS labels FROM suggestions FINAL WHERE (app, toString(generation_id), choice_index) IN "
        "(SELECT each.1, each.2, each.3 FROM (SELECT arrayJoin({keys:Array(Tuple(String, String, UInt16))}) AS each))",
        {"keys": [tuple(each.item) for each in found], "horizon_s": HORIZON_S},
    )


def test_judges_are_held_against_what_users_said_and_experts(client: Client) -> None:
    """Counts are those of the rows themselves, in every bucket together; a scale decides what a word means."""
    found = reading.agreement(client, SCOPE, HORIZON_S, Scales())
    by_pair = {(each.voice.evaluation, each.truth): each for each in found.comparisons}
    said = by_pair["grounded", agreeing.SAID]
    ((number,),) = client.query(
        "SELECT count() FROM suggestions FINAL ARRAY JOIN judged.label AS label WHERE cohort_ms >= {since:Int64} "
        "AND cohort_ms < {until:Int64} AND NOT orphan AND (negative OR votes_positive > 0) AND label != ''",
        {"since": SCOPE.since_ms, "until": SCOPE.until_ms},
    )
    assert said.items == number > 30
    assert said.precision.value is not None
    assert said.kappa.low is not None
    assert by_pair["grounded", agreeing.EXPERTS].items > 0
    turned = reading.agreement(client, SCOPE, HORIZON_S, Scales({"grounded": Scale(("incorrect",), ("correct",))}))
    (other,) = [
        each for each in turned.comparisons if (each.voice.evaluation, each.truth) == ("grounded", agreeing.SAID)
    ]
    assert other.table["bad", "good"] == said.table["good", "good"]
    unknown = reading.agreement(client, SCOPE, HORIZON_S, Scales({"grounded": Scale((), ())}))
    assert unknown.unread["grounded"][0] > 0
    console = Console(width=80, record=True, highlight=False)
    terminal.show(found, HORIZON_S, console)
    text = console.export_text()
    assert "grounded" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_queue_grows_until_it_is_whole_and_stands_then(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever one look finds: the next goes on from it, what is whole is shown until what is newer is, and no less."""
    monkeypatch.setattr(candidates, "FIRST", 4)
    monkeypatch.setattr(candidates, "FIRST_SPAN", 20)
    monkeypatch.setattr(candidates, "next_size", lambda size, took_s, left_s: 4)
    monkeypatch.setattr(queues, "PATIENCE_S", 0.0)
    queue = Queue(name="all", title="All", rule="not_kept", horizon_s=HORIZON_S, most=500)
    whole = reading.candidates(client, queue, NOW, HORIZON_S, Scales())
    now_s = [0.0]
    known, reads = queues.Queues(Scales(), lambda: now_s[0]), Reads(client, NOW, Recent(lambda: now_s[0]))
    found = [known.of(reads, queue)]
    while found[-1].looked_back_to is not None:
        now_s[0] += 0.1
        found.append(known.of(reads, queue))
    assert len(found) > 5
    assert [len(each.candidates) for each in found] == sorted(len(each.candidates) for each in found)
    assert list(found[-1].candidates) == list(whole)
    assert not found[-1].goes_on
    now_s[0] += 60
    assert known.of(reads, queue) == found[-1]


def test_a_full_queue_says_that_there_may_be_more(client: Client) -> None:
    """It holds as many as it may: a number of what it holds is not one of what there is."""
    found = queues.Queues(Scales()).of(Reads(client, NOW, Recent(time.monotonic)), TEN)
    assert (len(found.candidates), found.goes_on, found.looked_back_to) == (10, True, None)
