"""What Python says of texts, and makes of content: `python -m tests.javascript.vectors` writes it.

JavaScript must say the same. The pairs of texts are those that edits make: words typed on, lines moved, replaced and
taken out, in ASCII and beyond, and those at which definitions differ.
"""

import json
import random
from pathlib import Path
from typing import Any, Final

from keeprate.producers import text
from keeprate.producers.sdk.content import ContentPolicy
from keeprate.producers.text import EditedRange

_DATA: Final = Path(__file__).parents[1] / "data"
PATH: Final = _DATA / "text_vectors.json"
CONTENT_PATH: Final = _DATA / "content_vectors.json"
SALT: Final = "salt"
_CHOSEN: Final = (
    ("", ""),
    ("", "a"),
    ("foo", "fo0"),
    ("return a + b", "return a - b"),
    ("return a + b;", "return a * b + c;"),
    ("abcdefghij", "abcdefg"),
    ("a\r\nb\r\n", "a\nb\n"),
    ("a\rb", "a\nb"),
    ("😀", "😁"),
    ("a😀b", "a😀"),
    ("été x²y Ⅷ ٣", "ete x2y Ⅷ ٣"),
    ("नमस्ते दुनिया", "नमस्ते  दुनिया!"),
    ("变量 = 一二", "变量 = 一三"),
    ("_a__1 \t\n", "_a__2 \t\n"),
    ("e\u0301", "é"),
    ("value", "myvalue + 1"),
    (" ", "  "),
)
_WORDS: Final = (
    "a",
    "ab",
    "foo",
    "value",
    "return",
    "(",
    ")",
    "=",
    "+",
    " ",
    "  ",
    "    ",
    "\n",
    "\r\n",
    "é",
    "😀",
    "²",
    "变",
)


_CALLED: Final = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
_EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "type": "generation",
        "model": "m",
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Été 😀?", "name": "ada"}],
        "output": [{"role": "assistant", "content": "return a + b"}, {"role": "assistant", "content": "return b + a"}],
        "prompt_variables": {"name": "ada", "more": {"role": "x", "list": ["a", 1, None, True]}},
        "context_sources": ["a.py", "b.py"],
        "parameters": {"temperature": 0.2, "stream": True, "stop": ["\n", "é"], "user": "ada"},
        "attributes": {"plan": "pro", "note": ""},
        "error_message": "no",
    },
    {
        "type": "generation",
        "input": [{"role": "user", "content": [{"type": "text", "text": "How?"}]}],
        "output": [{"role": "assistant", "content": None, "tool_calls": [_CALLED]}],
        "parameters": {"stop": "."},
    },
    {"type": "edit", "corrected_text": "return a - b", "distance": 1, "comment": "a comment"},
    {"type": "retention_check", "status": "present", "current_text": "", "elapsed_ms": 1},
    {"type": "vote", "value": 1, "comment": "good", "attributes": {"plan": "pro"}},
)


def content_vectors() -> list[dict[str, Any]]:
    """Events, and what of them leaves in each mode."""
    hashed, off = (ContentPolicy(mode, SALT.encode()) for mode in ("hashed", "off"))
    return [{"event": event, "hashed": hashed.apply(event), "off": off.apply(event)} for event in _EVENTS]


def vectors() -> list[dict[str, Any]]:
    """The pairs, with the numbers of a retention check and the no-revert of an edit from one to the other."""
    rng = random.Random(20_600)
    drawn = [_drawn(rng) for _ in range(150)]
    return [_said(*pair) for pair in (*_CHOSEN, *drawn)]


def _drawn(rng: random.Random) -> tuple[str, str]:
    words = rng.choices(_WORDS, k=rng.choice((3, 10, 40, 120)))
    edited = list(words)
    for _ in range(rng.choice((0, 1, 3, 20))):
        at = rng.randrange(len(edited) + 1)
        edited[at : at + rng.choice((0, 1, 4))] = rng.choices(_WORDS, k=rng.choice((0, 1, 3)))
    return "".join(words), "".join(edited)


def _said(original: str, current: str) -> dict[str, Any]:
    middle = original[: len(original) // 2] + current[len(current) // 2 :]
    return {
        "original": original,
        "current": current,
        "lines": text.line_count(original),
        "middle": middle,
        "no_revert": text.no_revert([EditedRange(before=original, new=current, current=middle)]),
        **vars(text.survival(original, current)),
    }


if __name__ == "__main__":
    for path, made in ((PATH, vectors()), (CONTENT_PATH, content_vectors())):
        path.write_text("[\n" + ",\n".join(map(json.dumps, made)) + "\n]\n", "utf-8")
