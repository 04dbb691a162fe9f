"""What stays of a person's events and outcomes: everything that is counted, and nothing that they wrote."""

import json
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeprate.schemas.decode import decode, encode, validate
from keeprate.schemas.events import (
    Action,
    Edit,
    Envelope,
    Evaluation,
    Event,
    Flag,
    Generation,
    RetentionCheck,
    Vote,
)
from keeprate.schemas.forgotten import KEPT, NOBODY, REPLACED
from keeprate.schemas.json_schema import event_schema
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import canonical, parse_key
from keeprate.schemas.registers import (
    ACCEPT,
    CORRECTION,
    EVALUATION,
    FLAG,
    GENERATION,
    RETENTION,
    VOTE,
    Register,
)
from tests.people import USER, forgotten, personal_logs

GONE = {
    "external_id", "trace_id", "span_id", "prompt_variables", "context_sources", "input", "output", "parameters",
    "error_message", "comment", "current_text", "explanation",
}  # fmt: skip


def test_every_field_of_an_event_is_kept_replaced_or_gone() -> None:
    """Whoever adds a field decides: it goes by itself, and has to be named here."""
    types = (Envelope, Generation, Action, Flag, Vote, Edit, RetentionCheck, Evaluation)
    fields = {name for kind in types for name in get_type_hints(kind)}
    assert fields == KEPT | REPLACED | GONE
    assert len(fields) == len(KEPT) + len(REPLACED) + len(GONE)


@given(personal_logs())
def test_forgetting_and_folding_commute(log: list[Event]) -> None:
    """The outcomes of what is left of the events are what is left of the outcomes."""
    who = forgotten(log)
    left = {key: canonical(outcome) for key, outcome in fold(map(who.event, log)).items()}
    assert left == {key: canonical(who.outcome(*parse_key(key)[:2], o)) for key, o in fold(log).items()}


@given(personal_logs())
def test_what_stays_is_valid_and_holds_nothing_of_the_person(log: list[Event]) -> None:
    """Neither the user, nor a session of theirs, nor a text; somebody else's event stays as it was."""
    who = forgotten(log)
    for event in log:
        left = who.event(event)
        if left is event:
            assert USER not in (event.get("user"), event.get("annotator"))
            continue
        assert decode(encode(left)) == left == validate(dict(left))
        assert "secret" not in str(left)
        assert USER not in (left.get("user"), left.get("annotator"))
        assert who.session(event["app"], left.get("session")) is None
        assert who.event(left) == left


@given(personal_logs())
def test_no_two_people_become_one(log: list[Event]) -> None:
    """Counts by user, by session, and of votes and flags by who gave them stay what they were."""
    who = forgotten(log)
    before, after = fold(log), fold(map(who.event, log))
    assert before.keys() == after.keys()
    for key, outcome in before.items():
        for name in ("votes", "flags", "corrections", "evaluations"):
            assert len(outcome.get(name, {})) == len(after[key].get(name, {}))
    identities = {(event["app"], event.get("user") or event.get("session")) for event in log}
    assert len({(e["app"], e.get("user") or e.get("session")) for e in map(who.event, log)}) == len(identities)


@given(personal_logs())
def test_nobody_forgotten_changes_nothing(log: list[Event]) -> None:
    """The same objects come back, so a sink pays nothing until somebody is forgotten."""
    assert all(NOBODY.event(event) is event for event in log)
    for key, outcome in fold(log).items():
        assert NOBODY.outcome(*parse_key(key)[:2], outcome) is outcome


def _escaped(text: str, every: bool) -> str:
    """As JSON's writers may write it: this letter or all as escapes."""
    return "".join(f"\\u{ord(each):04X}" if every or not each.isalnum() else each for each in text)


_LETTERS = st.characters(codec="utf-8", max_codepoint=0xFFFF, exclude_characters='"\\', exclude_categories=["Cc", "Cs"])


@given(st.text(_LETTERS, min_size=1), st.data())
def test_a_user_is_found_however_json_escapes_them(user: str, data: st.DataObject) -> None:
    """As escapes of all letters or of some, and within JSON within JSON, however deep."""
    value = '{"user": "' + _escaped(user, data.draw(st.booleans())) + '", '
    for _ in range(data.draw(st.integers(0, 3))):
        value = '{"body": ' + json.dumps(value) + ", "
    assert forgotten([], user).bytes_hold_person([value.encode()])
    assert not forgotten([], f"{user}-not").bytes_hold_person([value.encode()])


def test_a_broken_record_holds_a_user_as_a_word_or_between_quotes() -> None:
    """A part of a longer word is somebody else; one app's user is nobody in a record that does not name the app."""
    who, in_chat = forgotten([]), forgotten([], app="chat")
    assert who.bytes_hold_person([b'{"user": "u1", \xff'])
    assert who.bytes_hold_person([b"key", b"user=u1&x"])
    assert not who.bytes_hold_person([b'{"user": "u11"}'])
    assert not in_chat.bytes_hold_person([b'{"user": "u1", "app": "editor"'])
    assert in_chat.bytes_hold_person([b'{"user": "u1", "app": "chat"'])
    assert forgotten([], "jörg müller").bytes_hold_person(['{"user":"jörg müller"'.encode()])


@pytest.mark.parametrize("register", [GENERATION, RETENTION, ACCEPT, VOTE, FLAG, CORRECTION, EVALUATION])
def test_what_a_register_keeps_an_event_keeps(register: Register) -> None:
    """One decision for both: a column that stays is a field that stays, or no field at all."""
    fields = {name for form in event_schema()["$defs"].values() for name in form["properties"]}
    kept = {column.name for column in register.columns if column.forget == "keep"}
    gone = {column.name for column in register.columns} - kept
    assert kept & fields <= KEPT
    assert gone <= REPLACED | (fields - KEPT)
