"""Bytes of a request's body to bytes of its content: gzip, deflate and zstd, inflated no further than a cap.

Pure: chunks go in, chunks come out. The cap holds while inflating, so that a bomb costs no more than the cap.
"""

import sys
import zlib
from typing import Final

from keeprate.producers.collector.errors import TOO_LARGE, RequestError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# 8 MiB, what every zstd decoder must be able to keep (RFC 8878 §3.1.1.1.2); a frame may ask for gigabytes.
_ZSTD_WINDOW_LOG: Final = 23


class _Identity:
    finished = True

    def inflate(self, chunk: bytes, room: int) -> bytes:
        return chunk[:room]


class _Zlib:
    """gzip and zlib, told apart by their headers."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=47)

    @property
    def finished(self) -> bool:
        return self._inflater.eof

    def inflate(self, chunk: bytes, room: int) -> bytes:
        if self._inflater.eof:
            raise zlib.error("data after the end of the stream")
        content = self._inflater.decompress(chunk, room)
        if self._inflater.unused_data:
            raise zlib.error("data after the end of the stream")
        return content


class _Zstd:
    def __init__(self) -> None:
        self._inflater = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})

    @property
    def finished(self) -> bool:
        return self._inflater.eof

    def inflate(self, chunk: bytes, room: int) -> bytes:
        if self._inflater.eof:
            raise zstd.ZstdError("data after the end of the frame")
        content = self._inflater.decompress(chunk, room)
        if self._inflater.unused_data:
            raise zstd.ZstdError("data after the end of the frame")
        return content


_ENCODINGS: Final[dict[str, type[_Identity] | type[_Zlib] | type[_Zstd]]] = {
    "": _Identity,
    "identity": _Identity,
    "gzip": _Zlib,
    "deflate": _Zlib,
    "zstd": _Zstd,
}
ENCODINGS: Final = ("gzip", "deflate", "zstd")


class Body:
    """The content of one body, of at most `max_bytes`. `add` every chunk in order, then take `content()`."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        kind = _ENCODINGS.get(encoding.strip().lower())
        if kind is None:
            reason = f"Content-Encoding {encoding!r} is unknown; send one of {', '.join(ENCODINGS)}, or none"
            raise RequestError(415, "unsupported_encoding", reason, field="Content-Encoding")
        self._inflater: _Identity | _Zlib | _Zstd = kind()
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._begun = False
        self.size_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take one chunk as it came over the wire. Raises RequestError when it is not what it says, or too much."""
        if not chunk:
            return
        self._begun = True
        try:
            # One byte beyond the cap is enough to know that the content is too large.
            part = self._inflater.inflate(chunk, self._max_bytes + 1 - self.size_bytes)
        except (zlib.error, zstd.ZstdError) as error:
            raise RequestError(400, "bad_encoding", f"the body does not decompress: {error}") from None
        self._parts.append(part)
        self.size_bytes += len(part)
        if self.size_bytes > self._max_bytes:
            reason = f"the content is larger than {self._max_bytes} bytes; send smaller batches"
            raise RequestError(TOO_LARGE, "too_large", reason, close=True)

    def content(self) -> bytes:
        """The whole content. Raises RequestError when the compressed stream was cut short."""
        if self._begun and not self._inflater.finished:
            raise RequestError(400, "bad_encoding", "the compressed body ends before its end")
        return b"".join(self._parts)
