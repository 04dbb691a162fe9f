"""The text of a prompt's version, of what its calls say as the system."""

from typing import Any

from keeprate.deploy.page.exploring.prompts import PromptText, text_of


def call(*said: tuple[str, Any], **own: Any) -> dict[str, Any]:
    return {"input": [{"role": role, "content": content} for role, content in said], **own}


def test_the_text_is_what_most_calls_say_as_the_system() -> None:
    """In whatever order they come; what users say is none of it."""
    calls = [
        call(("system", "Be brief."), ("user", "why?")),
        call(("system", "Be brief, Ann."), ("user", "why?")),
        call(("system", "Be brief."), ("user", "how?")),
        call(("user", "Be brief."), ("user", "Be brief.")),
    ]
    assert text_of("v1", calls) == text_of("v1", calls[::-1]) == PromptText("v1", "Be brief.", 2, 4)
    both = [call(("developer", "One."), ("system", "Two."), ("user", "x"))]
    assert text_of("v1", both) == PromptText("v1", "One.\n\nTwo.", 1, 1)


def test_of_equals_the_order_of_calls_decides_nothing() -> None:
    """So that a reload shows the same."""
    calls = [call(("system", "b")), call(("system", "a"))]
    assert text_of("v1", calls) == text_of("v1", calls[::-1]) == PromptText("v1", "a", 1, 2)


def test_where_nothing_is_sent_there_is_no_text() -> None:
    """No input, hashes, content of parts, or no call at all."""
    calls = [
        {},
        call(("system", "3a7bd3e2"), content_mode="hashed"),
        call(("system", [{"text": "x"}])),
        {"input": None},
    ]
    assert text_of("v1", calls) == PromptText("v1", None, 0, 4)
    assert text_of("v1", []) == PromptText("v1", None, 0, 0)
