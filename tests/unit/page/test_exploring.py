"""Sheets that are safe to open, and changes that are told once."""

import csv
import io
from typing import Any

import pytest

from keeprate.deploy.page.exploring.changes import changes
from keeprate.deploy.page.exploring.sheet import COLUMNS, head, lines, safe


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    """What a spreadsheet would run is text for it."""
    assert safe(text) == f"'{text}"


def test_a_sheet_holds_hostile_names_as_cells() -> None:
    """Quotes, lines and separators stay within theirs; numbers stay numbers."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "at": 0,
        "app": "a",
        "model": '=cmd|"x"\n,é',
        "flag_labels": ["=b", "c"],
    }
    row |= {"judgements": [["quality", "good"]], "distance_ratio": -0.5}
    (cells,) = csv.DictReader(io.StringIO(head() + lines([row])))
    assert (cells["model"], cells["flag_labels"]) == ("'" + row["model"], "'=b; c")
    assert (cells["at"], cells["judgements"]) == ("1970-01-01T00:00:00.000+00:00", "quality=good")
    assert cells["distance_ratio"] == "-0.5"


def test_what_users_changed_is_told_once() -> None:
    """Not again by a look that saw the same, and only where both texts were captured."""
    generation = {"type": "generation", "output": [{"role": "assistant", "content": "one two"}]}

    def check(**own: object) -> dict[str, object]:
        return {"type": "retention_check", "status": "present", "event_id": "e", "occurred_at": 1, **own}

    events = [
        check(horizon_s=30, current_text="one two"),
        check(horizon_s=120, current_text="one three"),
        check(horizon_s=300, current_text="one three"),
        check(horizon_s=600, status="removed"),
        check(horizon_s=900),
        {"type": "edit", "event_id": "f", "occurred_at": 2, "corrected_text": "two"},
    ]
    found = changes(generation, events)
    assert [(each["type"], each["horizon_s"]) for each in found] == [
        ("retention_check", 120),
        ("retention_check", 600),
        ("edit", None),
    ]
    assert found[0]["pieces"] == [["same", "one "], ["gone", "two"], ["new", "three"]]
    assert found[1]["pieces"] == [["gone", "one two"]]
    assert changes(None, events) == []
