"""Text that models and users wrote, as exports may hold it: as data, whatever it says, and readable. Pure."""

import json
import re
from typing import Any, Final

# What is not seen, turns the reading direction, or ends a line for some readers only: JSON has an escape for each.
_UNSEEN: Final = re.compile(
    "[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)
# A hash too: where Nunjucks meets the end of a comment that never began, it renders nothing at all.
_OPENS: Final = re.compile("[{#]")
LOADED: Final = ("file://", "package:", "http://", "https://", "python:", "exec:")
"""What promptfoo takes for something to load or to run where a text begins with it."""


def json_line(value: Any) -> str:
    """A value as JSON in one line, in which no character is unseen and letters stay readable."""
    return _UNSEEN.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"


def python_literal(value: Any) -> str:
    """A value as JSON in a Python literal of ASCII: whatever it holds, it does not end the literal."""
    return ascii(json.dumps(value))


def template_text(text: str) -> str:
    """A text that Nunjucks, which promptfoo renders texts with, renders as what it is, and that loads nothing."""
    safe = _OPENS.sub(lambda match: '{{ "' + match[0] + '" }}', text)
    return '{{ "" }}' + safe if text.startswith(LOADED) else safe


def template_json(value: Any) -> str:
    """A value as JSON that Nunjucks finds nothing in, however often it is rendered.

    What begins a template is JSON's escape wherever it stands in a text, and JSON itself never has two braces in a row
    that open.
    """
    return _MARKED.sub(lambda match: f"\\u{ord(match[1]):04x}", json_line(_marked(value)))


_MARK: Final = "\uf8ff\uf8fe"
_MARKED: Final = re.compile(f"{_MARK}([{{#])")


def _marked(value: Any) -> Any:
    """The value with a mark before all that a template could begin with, in texts and in names."""
    if isinstance(value, str):
        return _OPENS.sub(lambda match: _MARK + match[0], value)
    if isinstance(value, dict):
        return {_marked(name): _marked(each) for name, each in value.items()}
    return [_marked(each) for each in value] if isinstance(value, list | tuple) else value
