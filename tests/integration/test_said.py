"""What users said is read back in bounds: a text may have a megabyte, and there may be any number of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.cases.making import best_correction
from keeprate.schemas.decode import encode
from keeprate.sinks.facts import said
from keeprate.sinks.facts.corrections import corrections, whole
from keeprate.sinks.store.clickhouse import Client
from tests.facts import START_MS, Facts
from tests.reading import load_all, reading

pytestmark = pytest.mark.clickhouse

AT = datetime.fromtimestamp(START_MS / 1000, UTC)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """An engine whose tables each test fills anew."""
    with reading() as client:
        yield client


def test_a_remark_has_the_beginning_of_its_comment_and_no_other_text(client: Client) -> None:
    """Whoever has a key of a page may send megabytes, and every browser asks for these every four seconds."""
    facts = Facts("long")
    score = {"score": 4, "scale_min": 1, "scale_max": 5}
    log = [
        facts.edit("l", at=5000, corrected_text="y" * 900_000, attributes={"own": "z" * 1000}),
        facts.vote("l", -1, at=4500, comment="é" * 400_000),
        facts.vote("l", None, at=4200, **score),
        facts.flag("l", "wrong", at=4100),
    ]
    load_all(client, log)
    found = said.remarks(client, AT - timedelta(hours=1), AT + timedelta(hours=1), only={"app": ["long"]})
    events = [each.event for each in found]
    assert [event["event_id"] for event in events] == [event["event_id"] for event in log]
    assert events[1]["comment"] == "é" * said.MOST_COMMENT
    assert {"corrected_text", "attributes"}.isdisjoint(events[0])
    assert {name: events[2][name] for name in score} == score
    sent = {name: value for name, value in log[3].items() if name not in ("schema_version", "user")}
    assert events[3] == sent | {"choice_index": 0}


def test_a_story_is_bounded_in_bytes_and_has_its_generation(client: Client) -> None:
    """Whatever was said before it: votes that claim to be older hid the generation, and made a page read gigabytes."""
    facts = Facts("story")
    generation = facts.generation("s", output=[{"role": "assistant", "content": "kept"}])
    flood = [facts.vote("s", 1, at=-9000 + n, comment="x" * 900_000) for n in range(9)]
    load_all(client, [generation, *flood])
    events, is_whole = said.story(client, "story", generation["generation_id"])
    assert [event["type"] for event in events] == ["vote"] * 4 + ["generation"]
    assert [event["event_id"] for event in events[:4]] == [event["event_id"] for event in flood[:4]]
    assert not is_whole
    assert sum(len(encode(event)) for event in events) < said.MOST_STORY_BYTES + len(encode(generation))
    few = [facts.generation("few"), *(facts.vote("few", 1, at=at) for at in range(3))]
    load_all(client, few)
    events, is_whole = said.story(client, "story", few[0]["generation_id"])
    assert (events, is_whole) == (few, True)
    assert [len(said.story(client, "story", few[0]["generation_id"], 2)[0]), is_whole] == [3, True]


def test_the_text_of_a_correction_is_read_when_it_counts(client: Client) -> None:
    """Of a thousand corrections one is wanted: an expert's, however many of users came after it."""
    facts = Facts("mended")
    expert = facts.edit("m", at=3000, user="ex", origin="expert", corrected_text="as it should be")
    others = [facts.edit("m", at=4000 + n, user=f"u{n}", corrected_text="other " * 1000) for n in range(20)]
    load_all(client, [expert, *others])
    app, generation_id = "mended", expert["generation_id"]
    known = corrections(client, app, [generation_id])[generation_id]
    assert (len(known), {len(each["corrected_text"]) for each in known}) == (21, {1})
    best = best_correction(known, 0)
    assert best is not None
    assert best["event_id"] == expert["event_id"]
    assert whole(client, app, [generation_id], [best["event_id"]]) == {expert["event_id"]: expert}
    assert whole(client, app, [generation_id], []) == {}


def test_an_event_of_another_app_with_the_same_id_hides_none(client: Client) -> None:
    """Ids are an app's own to choose: what one app sends takes nothing from what another's users said."""
    votes = [Facts(app).vote("v", value, at=at) for app, value, at in (("ours", -1, 3000), ("theirs", 1, 4000))]
    assert votes[0]["event_id"] == votes[1]["event_id"]
    load_all(client, votes)
    found = said.remarks(client, AT, AT + timedelta(hours=1))
    assert [each.event["app"] for each in found] == ["theirs", "ours"]
