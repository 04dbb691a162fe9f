"""docs/deploying.md has every setting as the code has it."""

from pathlib import Path

from keeprate.deploy.settings import SECTIONS
from keeprate.producers.environment import variable_of

PAGE = Path(__file__).parents[2] / "docs" / "deploying.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->"


def rows() -> str:
    """The table of settings."""
    lines = ["| variable | what | default |", "|---|---|---|"]
    for name, model in SECTIONS.items():
        for field, about in model.model_fields.items():
            default = "" if about.default is None else f"`{str(about.default).lower()}`"
            lines.append(f"| `{variable_of(name, field)}` | {about.description} | {default} |")
    return "\n".join(lines) + "\n"


def test_every_setting_is_in_the_table_with_its_meaning() -> None:
    """As its model says it: what an operator reads there is so."""
    text = PAGE.read_text("utf-8")
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == rows()
