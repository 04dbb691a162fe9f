"""What leaves the process in each content mode, and what never does."""

from typing import Any

import pytest

from keeprate.producers import ContractError
from keeprate.producers.testing import RecordingKeeprate

SECRET = "the quarterly numbers"


def emitted(**settings: Any) -> RecordingKeeprate:
    """A client after one of everything that carries text."""
    client = RecordingKeeprate(**settings)
    handle = client.generation(
        input=[{"role": "system", "content": "be brief"}, {"role": "user", "content": SECRET}],
        output=[SECRET, {"content": None, "tool_calls": [{"name": "f", "arguments": {"x": SECRET}}]}],
        prompt_variables={"topic": SECRET},
        context_sources=[SECRET],
        parameters={
            "temperature": 0.2,
            "seed": 7,
            "stream": True,
            "stop": [SECRET],
            "suffix": SECRET,
        },
        attributes={"plan": "pro", "title": SECRET},
        user="alice@example.org",
        input_tokens=7,
    )
    handle.accept().edit(f"{SECRET}!", comment="almost").retention_check(
        horizon_s=30, current_text=SECRET, elapsed_ms=30_000
    )
    return client


@pytest.mark.parametrize("mode", ["hashed", "off"])
def test_no_content_leaves_unless_all_may(mode: str) -> None:
    """No text in any event, while lengths, distances, choices, tokens and comments are there."""
    client = emitted(content=mode)
    assert SECRET not in repr(client.events)
    generation, accept, edit, check = client.events
    assert generation.get("content_mode") == mode
    assert generation.get("choice_count") == 2
    assert generation.get("input_tokens") == 7
    assert accept.get("length") == len(SECRET)
    assert (edit.get("distance"), edit.get("comment")) == (1, "almost")
    assert check.get("distance") == 0


@pytest.mark.parametrize(("mode", "names"), [("hashed", {"plan", "title"}), ("off", {"plan"})])
def test_parameters_keep_their_numbers_and_attributes_what_the_app_names(mode: str, names: set[str]) -> None:
    """What a model was set to is no content; a text in a parameter or attribute may be."""
    generation = emitted(content=mode, keep_attributes=["plan"]).events[0]
    parameters: Any = generation.get("parameters")
    attributes: Any = generation.get("attributes")
    assert {name: parameters[name] for name in ("temperature", "seed", "stream")} == {
        "temperature": 0.2,
        "seed": 7,
        "stream": True,
    }
    assert attributes["plan"] == "pro"
    assert attributes.keys() == names
    assert ("suffix" in parameters) == (mode == "hashed")


def test_full_content_leaves_as_it_is() -> None:
    """The default keeps input and output of each step, for test cases to be made of."""
    generation, _, edit, _ = emitted().events
    assert generation.get("output")[0] == {"role": "assistant", "content": SECRET}  # type: ignore[index]
    assert edit.get("corrected_text") == f"{SECRET}!"


def test_hashes_tell_equal_from_different_and_depend_on_the_salt() -> None:
    """The same text has the same fingerprint; another salt, another one."""
    first, again, other = (emitted(content="hashed", user_salt=salt).events[0] for salt in ("a", "a", "b"))
    assert first.get("output") == again.get("output") != other.get("output")
    assert first.get("user") == again.get("user") != other.get("user")
    assert first.get("output")[0]["content"] != first.get("output")[1]["content"]  # type: ignore[index]


def test_a_user_is_hashed_wherever_a_handle_takes_one() -> None:
    """The name never leaves; a generation and its feedback agree on the pseudonym."""
    client = RecordingKeeprate()
    handle = client.generation(user="alice@example.org").shown()
    client.feedback(handle.id, user="alice@example.org").vote(1)
    assert {event.get("user") for event in client.events} == {client.user_hash("alice@example.org")}
    assert "alice" not in repr(client.events)


def test_the_redaction_hook_sees_every_text_before_it_leaves() -> None:
    """Nested texts and comments too; roles and keys stay."""
    client = emitted(redact=lambda text: text.replace(SECRET, "[…]").replace("almost", "[…]"))
    assert SECRET not in repr(client.events)
    assert "almost" not in repr(client.events)
    assert client.events[0].get("input")[1] == {"role": "user", "content": "[…]"}  # type: ignore[index]


def test_an_event_is_withheld_when_the_redaction_hook_fails() -> None:
    """It is counted, and not sent as it was."""
    client = RecordingKeeprate(redact=lambda text: text[99])
    client.generation(output=SECRET)
    assert client.events == []
    assert client.stats().dropped == {"redaction": 1}


def test_a_raw_edit_without_content_needs_its_distance() -> None:
    """With content off there would be nothing left to count, so the event is refused and says what to send."""
    client = RecordingKeeprate(content="off")
    with pytest.raises(ContractError, match="distance"):
        client.emit({"type": "edit", "generation_id": client.new_id(), "corrected_text": SECRET})
