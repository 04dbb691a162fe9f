"""Bodies on the wire: HTTP content codings in and out.

gzip is always there; lz4 and zstd are where their packages are, which clickhouse-connect brings along.
"""

import importlib
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from keeprate.deploy.store.request import DoorError


class Coder(Protocol):
    """One direction of one body: pieces in, pieces out, then what is left."""

    def __call__(self, piece: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Identity:
    """Bytes as they are."""

    def __call__(self, piece: bytes) -> bytes:
        return piece

    def flush(self) -> bytes:
        return b""


class _Compressor:
    """zlib's and zstd's compressors, and lz4's, which wants to be begun."""

    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor
        self._head: bytes = compressor.begin() if hasattr(compressor, "begin") else b""

    def __call__(self, piece: bytes) -> bytes:
        head, self._head = self._head, b""
        compressed: bytes = self._compressor.compress(piece)
        return head + compressed

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        rest: bytes = self._compressor.flush()
        return head + rest


class _Decompressor:
    """A decompressor for any number of frames in a row: clickhouse-connect sends one per block."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._current = make()
        self._started = False

    def __call__(self, piece: bytes) -> bytes:
        out = []
        while piece:
            if self._current.eof:
                self._current = self._make()
            self._started = True
            try:
                out.append(self._current.decompress(piece))
            except Exception as error:
                raise DoorError(f"the body cannot be decompressed: {error}", 400, 354) from error
            piece = (self._current.unused_data or b"") if self._current.eof else b""
        return b"".join(out)

    def flush(self) -> bytes:
        if self._started and not self._current.eof:
            raise DoorError("the compressed body ends too early", 400, 354)
        return b""


def decoder(content_encoding: str | None) -> Coder:
    """A decoder for a request's Content-Encoding. Raises DoorError for one that is not available here."""
    match (content_encoding or "identity").strip().lower():
        case "identity" | "":
            return Identity()
        case "gzip" | "x-gzip":
            return _Decompressor(lambda: zlib.decompressobj(31))
        case "deflate":
            return _Decompressor(zlib.decompressobj)
        case "lz4" if lz4 := _module("lz4.frame"):
            return _Decompressor(lz4.LZ4FrameDecompressor)
        case "zstd" if zstd := _zstd():
            return _Decompressor(zstd.ZstdDecompressor)
        case other:
            raise DoorError(f"Content-Encoding {other} is not available here: send gzip, or install it", 415, 48)


def encoder(accept_encoding: str | None) -> tuple[Coder, str | None]:
    """An encoder for the first coding a client accepts that is available here, with its name; else none."""
    for offer in (accept_encoding or "").split(","):
        name, _, weight = offer.strip().lower().partition(";")
        if weight.replace(" ", "") in ("q=0", "q=0.0"):
            continue
        if name == "gzip":
            return _Compressor(zlib.compressobj(level=1, wbits=31)), name
        if name == "lz4" and (lz4 := _module("lz4.frame")):
            return _Compressor(lz4.LZ4FrameCompressor()), name
        if name == "zstd" and (zstd := _zstd()):
            return _Compressor(zstd.ZstdCompressor(level=1)), name
    return Identity(), None


def _zstd() -> Any:
    return _module("compression.zstd") or _module("backports.zstd")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
