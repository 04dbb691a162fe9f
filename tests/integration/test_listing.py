"""Lists of suggestions over a real store: what is listed is what is counted, in order, each once, to the end."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from keeprate.deploy.store import StoreProcess
from keeprate.sinks.reading import candidates, hours, queries
from keeprate.sinks.reading.conditions import CHECK_FATES, FATES, SIGNALS
from keeprate.sinks.reading.listing import Listing, Place, Suggestion, page
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
    monkeypatch.setattr(candidates, "next_size", lambda size, took_s: 30)
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
