"""What a body would cost once it is parsed, told from its bytes before anything is made of them.

A byte of JSON can become dozens of bytes of objects, and a line that is not JSON an error with its message. Counting a
byte in 16 MiB takes some milliseconds; a body that these counts let through takes no more than about a second and
200 MiB. They count brackets and commas in texts too, of which a body of ordinary content has far fewer.
"""

from typing import Final

from keeprate.producers.collector.errors import TOO_LARGE, RequestError

MAX_ITEMS: Final = 10_000
MAX_SPAN_EVENTS: Final = 10 * MAX_ITEMS
MAX_LINES: Final = 2 * MAX_ITEMS
"""Lines of a body of which each may be an item; half of them may be blank."""

MAX_COUNTS: Final = {"brackets": (b"{[", 500_000), "commas": (b",", 2_000_000), "colons": (b":", 1_000_000)}
"""Signs in a body, and how many of them: of an object or list, an entry of one, a name with its value."""


def check_weight(body: bytes) -> None:
    """Refuse a body that is little more than structure: it would take many times its size in memory."""
    if name := too_heavy(body):
        reason = f"more than {MAX_COUNTS[name][1]:,} {name} in one body: send smaller batches"
        raise RequestError(TOO_LARGE, "too_many", reason)


def too_heavy(text: bytes) -> str | None:
    """Of what JSON has too much; None when its cost is bounded."""
    for name, (signs, most) in MAX_COUNTS.items():
        if len(text) > most and sum(text.count(sign) for sign in signs) > most:
            return name
    return None


def check_lines(body: bytes) -> None:
    """Refuse a body of more lines than there may be items, before it is cut into them."""
    if body.count(b"\n") > MAX_LINES:
        reason = f"more than {MAX_LINES:,} lines; the limit is {MAX_ITEMS:,} events: split the batch"
        raise RequestError(TOO_LARGE, "too_many", reason)


def check_items(count: int, noun: str, most: int = MAX_ITEMS) -> None:
    """Refuse a request of more items than one may have."""
    if count > most:
        raise RequestError(TOO_LARGE, "too_many", f"more than {most:,} {noun} in one request: split the batch")
