"""The reference in docs/events.md says what the contract says, of every field, and its examples are taken."""

import json
import re
from pathlib import Path

from keeprate.deploy import reference
from keeprate.producers.collector.batches import Origin, accept
from keeprate.producers.collector.otel.identity import Aliases
from keeprate.schemas.events import EVENT_TYPES
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


def test_what_curl_sends_is_taken() -> None:
    """One example for each type, as the collector reads it."""
    found = re.findall(r"^\$ curl [^\n]* -d '(\{.*?^\})'", PAGE.partition(reference.BEGIN)[2], re.DOTALL | re.MULTILINE)
    bodies = [json.loads(body) for body in found]
    assert [body["type"] for body in bodies] == list(EVENT_TYPES)
    records, refusals = accept(bodies, Origin("editor", 1_800_000_000_000, Aliases()))
    assert refusals == []
    assert len(records) == len(EVENT_TYPES)
