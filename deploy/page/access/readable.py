"""Whether an address is text: its bytes, with what is percent-encoded, are UTF-8. Pure.

Whoever decodes others puts signs in their place that nobody sent, and answers for a name that nobody has.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

_SHOWN_BYTES: Final = 60
_REMEDY: Final = "is not UTF-8. In an address a text's UTF-8 bytes are percent-encoded: é is %C3%A9"


def unreadable(scope: Mapping[str, Any]) -> str | None:
    """Which part of a request's address is no text, and what would do; None where all of it is text."""
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    if is_text(path) and is_text(query):
        return None
    return next(f"{name}: {_shown(value)} {_REMEDY}" for name, value in _parts(path, query) if not is_text(value))


def is_text(encoded: bytes) -> bool:
    """Whether what an address has there is ASCII, and stands for UTF-8."""
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return False
    return encoded.isascii()


def _parts(path: bytes, query: bytes) -> Iterator[tuple[str, bytes]]:
    """The path, and each parameter by its name; a name that is no text is itself what is to be named."""
    yield "the path", path
    for field in query.split(b"&"):
        name, _, value = field.partition(b"=")
        if is_text(name):
            yield _cut(unquote_to_bytes(name).decode()), value
        else:
            yield "a parameter's name", name


def _shown(value: bytes) -> str:
    """As it stands in the address, with what may not stand there percent-encoded."""
    return _cut("".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in value))


def _cut(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES] + "…")
