"""Sheets that are safe to open, and changes that are told once."""

import csv
import io
import re
from importlib.resources import files
from typing import Any

import pytest

from keeprate.deploy.page.exploring.addresses import checked_template, trace_link
from keeprate.deploy.page.exploring.changes import changes
from keeprate.deploy.page.exploring.sheet import _UNSEEN, COLUMNS, head, lines, safe
from keeprate.deploy.page.exploring.tables import table
from keeprate.producers.errors import SettingsError


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    """What a spreadsheet would run is text for it."""
    assert safe(text) == f"'{text}"


@pytest.mark.parametrize("text", ["\uff1d1+1", "\uff0b1", "\uff201", "\uff0d1"])
def test_wide_signs_are_formulas_too(text: str) -> None:
    """To spreadsheets of East Asia."""
    assert safe(text) == f"'{text}"


def test_what_is_not_seen_is_shown_in_a_sheet() -> None:
    """Null bytes, escapes and turns of direction can be read and change nothing else; emoji and lines stay."""
    hostile = "a\x00b\x1b[31m\u202ecod\u2066\ufeff \U0001f600\r\n<script>"
    assert (
        safe(hostile)
        == "a\u2400b\u241b[31m\u27e8U+202E\u27e9cod\u27e8U+2066\u27e9\u27e8U+FEFF\u27e9 \U0001f600\r\n<script>"
    )
    assert safe("\x00=1") == "\u2400=1"
    assert safe("a\u200bb\u061c\u2060\u00ad\u2028\U000e0041") == (
        "a\u27e8U+200B\u27e9b\u27e8U+061C\u27e9\u27e8U+2060\u27e9\u27e8U+00AD\u27e9\u27e8U+2028\u27e9\u27e8U+E0041\u27e9"
    )
    joined = "\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e"
    assert safe(joined) == joined


def test_the_page_shows_the_same_as_a_sheet() -> None:
    """One set of what is not seen, in two languages."""
    text = files("keeprate.deploy.page").joinpath("static", "dom.js").read_text("utf-8")
    (pattern,) = re.findall(r"UNSEEN = /(.*)/gu;", text)
    shown = re.compile(re.sub(r"\\u\{(\w+)\}", lambda code: f"\\U{int(code[1], 16):08x}", pattern))
    for code in (*range(0xD800), *range(0xE000, 0x110000)):
        assert (shown.match(chr(code)) is None) == (_UNSEEN.match(chr(code)) is None), hex(code)


def test_a_giant_cell_is_cut_and_says_so() -> None:
    """A spreadsheet would cut it in silence."""
    assert safe("x" * 40_000) == "x" * 30_000 + "\u2026 10000 more characters"


def test_what_is_within_a_thing_is_a_column_of_its_own() -> None:
    """And what is missing as a whole has columns where others have it."""
    rate = {"value": 0.5, "low": None}
    answer = {"metrics": [{"name": "a", "rate": rate, "previous": None}, {"name": "b", "rate": rate, "previous": rate}]}
    columns, rows = table("summary", answer)
    assert columns == ["name", "rate.value", "rate.low", "previous.value", "previous.low"]
    assert lines(rows, columns) == "a,0.5,,,\r\nb,0.5,,0.5,\r\n"
    assert table("accounts", None) == ([], [])


def test_a_trace_is_a_link_where_a_template_says_where() -> None:
    """Whatever stands in an id, it leads there; a template that could run something is refused."""
    generation = {"trace_id": "a/../?b", "app": "x", "generation_id": "g"}
    template = checked_template("https://traces.example/{app}/{trace_id}")
    assert trace_link(template, generation) == "https://traces.example/x/a%2F..%2F%3Fb"
    assert trace_link("", generation) is trace_link(template, {**generation, "trace_id": None}) is None
    assert trace_link(template, None) is None
    for wrong in (
        "javascript:alert({trace_id})",
        "https://traces.example/",
        "https://t.example/{trace_id}/{x}",
        "//t/{trace_id}",
    ):
        with pytest.raises(SettingsError, match="trace_url"):
            checked_template(wrong)


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
