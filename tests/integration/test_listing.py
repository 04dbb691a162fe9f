"""Lists of suggestions over a real store: what is listed is what is counted, in order, each once, to the end."""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from keeprate.deploy.commands import tree
from keeprate.deploy.page.app import page as app_of
from keeprate.deploy.page.source import Source
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.reading import hours, queries
from keeprate.sinks.reading.lists import candidates
from keeprate.sinks.reading.lists.conditions import CHECK_FATES, FATES, SIGNALS
from keeprate.sinks.reading.lists.listing import Listing, Place, Suggestion, page
from keeprate.sinks.reading.scope import Scope, ScopeError
from keeprate.sinks.store.clickhouse import Client, connect
from tests.pages import NOW, history, land

pytestmark = pytest.mark.clickhouse

SCOPE = Scope(NOW - timedelta(days=7), NOW, NOW)
EDITOR = replace(SCOPE, only={"app": ["editor"]})
HORIZON_S = 600


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> str:
    """A database with the demo's history, most of it summed by hours as the monitor does."""
    url = f"{store.url}/listing"
    land(url, history())
    with connect(url) as client:
        hours.sum_quiet(client, quiet_s=0, limit=400)
    return url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    """The store itself."""
    with connect(url) as client:
        yield client


def every(client: Client, asked: Listing, patience_s: float = math.inf) -> list[Suggestion]:
    """All rows of a list, page after page."""
    found: list[Suggestion] = []
    while True:
        rows = page(client, asked, patience_s)
        found += rows.rows[::-1] if asked.backwards else rows.rows
        if rows.next is None:
            return found
        asked = replace(asked, after=Place.parse(str(rows.next)))


def identities(rows: list[Suggestion]) -> list[tuple[str, str, int]]:
    return [row.identity for row in rows]


def test_what_is_listed_is_what_is_counted(client: Client) -> None:
    """Each fate, and each signal that is counted: as many rows as the number says."""
    asked = Listing(EDITOR, horizon_s=HORIZON_S, limit=1000)
    (funnel,) = queries.funnel(client, EDITOR)
    (kept,) = [row for row in queries.retention(client, EDITOR) if row.horizon_s == HORIZON_S]
    counted = {name: getattr(funnel, "orphans" if name == "orphan" else name) for name in FATES}
    counted |= {
        "kept": kept.mostly,
        "unchanged": kept.unchanged,
        "changed": kept.substantially_changed - kept.removed,
        "removed": kept.removed,
        "not_kept": kept.substantially_changed,
        "observed": kept.observed,
        "unobserved": kept.unobserved,
        "missing": kept.missing,
    }
    assert set(counted) == {*FATES, *CHECK_FATES}
    assert {name: len(every(client, replace(asked, fate=name))) for name in counted} == counted
    (rows,) = queries.counted(client, SCOPE, ("flagged", "corrected", "negative"))
    for name in ("flagged", "corrected", "negative"):
        assert len(every(client, replace(asked, scope=SCOPE, signals=[name]))) == rows[name] > 0


@pytest.mark.parametrize("order", ["newest", "worst"])
def test_pages_hold_each_suggestion_once_in_order_and_back_again(client: Client, order: Any) -> None:
    """Whatever the size of a page, how little is read at once, and whether the hours are summed."""
    asked = Listing(EDITOR, fate="accepted", horizon_s=HORIZON_S, order=order, limit=1000)
    rows = every(client, asked)
    assert len(set(identities(rows))) == len(rows) > 300
    assert [(row.rank, -row.place.cohort_ms) for row in rows] == sorted((r.rank, -r.place.cohort_ms) for r in rows)
    assert identities(every(client, replace(asked, limit=97))) == identities(rows)
    assert identities(every(client, replace(asked, backwards=True, limit=150))) == identities(rows)[::-1]
    at = rows[150].place
    (after,) = page(client, replace(asked, after=at, limit=1)).rows
    (before,) = page(client, replace(asked, after=at, limit=1, backwards=True)).rows
    assert (before.identity, after.identity) == (rows[149].identity, rows[151].identity)


def test_without_patience_a_page_says_where_to_go_on(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out by it, in both directions."""
    monkeypatch.setattr(candidates, "FIRST", 30)
    monkeypatch.setattr(candidates, "FIRST_SPAN", 40)
    monkeypatch.setattr(candidates, "next_size", lambda size, took_s, left_s: 30)
    asked = Listing(
        replace(SCOPE, since=NOW - timedelta(days=3)),
        fate="accepted",
        text="support",
        order="worst",
        horizon_s=HORIZON_S,
        limit=1000,
    )
    whole = identities(every(client, asked))
    assert len(whole) > 20
    assert identities(every(client, asked, patience_s=0)) == whole
    assert identities(every(client, replace(asked, backwards=True), patience_s=0)) == whole[::-1]


def test_ids_people_and_names_are_found(client: Client) -> None:
    """A whole id, the beginning of one, a user, and a part of a name in any case; a stranger has none."""
    some = page(client, Listing(EDITOR, limit=30)).rows[-1]
    app, identity, _ = some.identity
    assert {row.identity[:2] for row in every(client, Listing(SCOPE, text=identity.upper()))} == {(app, identity)}
    assert some.identity in identities(every(client, Listing(SCOPE, text=identity[:18])))
    of_user = replace(SCOPE, only={"user": [some.values["user"]]})
    mine = every(client, Listing(of_user))
    assert some.identity in identities(mine)
    assert {row.values["user"] for row in mine} == {some.values["user"]}
    model = some.values["model"]
    assert {row.values["model"] for row in every(client, Listing(EDITOR, text=model.upper(), limit=1000))} == {model}
    assert every(client, Listing(replace(SCOPE, only={"user": ["nobody"]}))) == []
    assert every(client, Listing(SCOPE, text="%")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"fate": "lost"},
        {"fate": "removed"},
        {"signals": ["liked"]},
        {"order": "best"},
        {"limit": 0},
        {"after": Place(2, 0, 0, 0, "")},
    ],
)
def test_what_is_not_offered_is_refused(wrong: dict[str, Any]) -> None:
    """By name, and with what would do."""
    with pytest.raises(ScopeError, match=next(iter(wrong)).removesuffix("s")):
        Listing(SCOPE, **wrong)


@pytest.mark.parametrize("text", ["", "1~2", "9~1~x~0~a", "99~1~019f0000-0000-7000-8000-000000000000~0~a"])
def test_what_is_no_place_is_refused(text: str) -> None:
    """A place comes from a page."""
    with pytest.raises(ScopeError, match="after"):
        Place.parse(text)


def test_every_signal_can_be_asked(client: Client) -> None:
    """Its condition is one that the store takes."""
    for name in SIGNALS:
        assert page(client, Listing(SCOPE, signals=[name], limit=1)).rows is not None


@pytest.fixture(scope="module")
def api(url: str) -> Iterator[TestClient]:
    """The page over the same store."""
    with TestClient(app_of(Source(url), hosts=("testserver",), now=lambda: NOW)) as client:
        yield client


def test_the_page_lists_the_same_in_json_and_csv(api: TestClient, client: Client) -> None:
    """With the selection's filters, page after page; a sheet has all of them."""
    asked = {"app": "editor", "fate": "removed", "horizon": str(HORIZON_S), "limit": "40"}
    expected = identities(every(client, Listing(EDITOR, fate="removed", horizon_s=HORIZON_S, limit=1000)))
    found, after = list[tuple[str, str, int]](), ""
    while after is not None:
        answer = api.get("/api/suggestions", params=asked | ({"after": after} if after else {})).json()
        found += [(row["app"], row["generation_id"], row["choice_index"]) for row in answer["rows"]]
        after = answer["next"]
    assert found == expected
    sheet = list(csv.DictReader(io.StringIO(api.get("/api/suggestions.csv", params=asked).text)))
    assert [(row["app"], row["generation_id"], int(row["choice_index"])) for row in sheet] == expected
    assert {row["state"] for row in sheet} == {"removed"}


@pytest.mark.parametrize(
    "wrong", [{"fate": "lost"}, {"signal": "liked"}, {"limit": "x"}, {"after": "y"}, {"order": "z"}]
)
def test_the_page_refuses_what_it_does_not_offer(api: TestClient, wrong: dict[str, str]) -> None:
    """400, with the parameter's name."""
    answer = api.get("/api/suggestions", params=wrong)
    assert answer.status_code == 400
    assert next(iter(wrong)) in answer.json()["error"]["message"]


def test_who_opens_a_suggestion_is_logged(api: TestClient, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """And a list is not, because it holds no content. The answer has what users changed, word by word."""
    caplog.set_level("INFO", "keeprate.content")

    def readers() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "keeprate.content"]

    asked = Listing(replace(SCOPE, only={"app": ["support"]}), signals=["corrected"], limit=1)
    (row,) = page(client, asked).rows
    api.get("/api/suggestions", params={"signal": "corrected"})
    assert readers() == []
    app, identity, _ = row.identity
    answer = api.get(f"/api/generations/{app}/{identity}", headers={"x-forwarded-user": "ada"}).json()
    assert readers() == [f"content of {app} {identity} was read by 'ada' at testclient"]
    (edit,) = [event for event in answer["events"] if event["type"] == "edit" and event.get("corrected_text")]
    (change,) = [each for each in answer["changes"] if each["type"] == "edit"]
    assert "".join(text for kind, text in change["pieces"] if kind != "gone") == edit["corrected_text"]
    assert answer["chain"][0]["generation_id"] == identity
    moved = api.get(f"/suggestions/{app}/{identity}", follow_redirects=False)
    assert moved.headers["location"].endswith(f"open={app}~{identity}")
    assert api.get("/suggestions/editor/none", follow_redirects=False).status_code == 404


def test_the_command_lists_the_same(url: str, client: Client) -> None:
    """As JSON, and as a table for people."""
    command = ["suggestions", "--store", url, "--app", "editor", "--fate", "removed", "--horizon", str(HORIZON_S)]
    command += [
        "--since",
        f"{SCOPE.since:%Y-%m-%dT%H:%M:%S%z}",
        "--until",
        f"{NOW:%Y-%m-%dT%H:%M:%S%z}",
        "--limit",
        "0",
    ]
    result = CliRunner().invoke(tree.app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    expected = identities(every(client, Listing(EDITOR, fate="removed", horizon_s=HORIZON_S, limit=1000)))
    assert [row["generation_id"] for row in found] == [identity for _, identity, _ in expected]
    people = CliRunner().invoke(tree.app, command).stdout.splitlines()
    assert len(people) == len(expected)
    assert max(map(len, people)) <= 80
