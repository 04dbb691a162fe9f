"""The reference in docs/events.md says what the contract says, of every field. Its examples are sent in other tests."""

from pathlib import Path

from keeprate.deploy import reference
from keeprate.schemas.json_schema import event_schema

PAGE = (Path(__file__).parents[2] / reference.PAGE).read_text("utf-8")


def test_the_page_is_what_the_contract_makes_of_it() -> None:
    """Otherwise: python -m keeprate.deploy.reference --write."""
    assert reference.rendered(PAGE) == PAGE


def test_every_field_has_a_meaning_and_no_other() -> None:
    """A new field that nobody explains is named here."""
    forms = event_schema()["$defs"]
    fields = {name for title, form in forms.items() if title != "Message" for name in form["properties"]}
    assert fields == set(reference.MEANINGS)
