"""Compressed bodies, and how far they are inflated."""

import gzip
import sys
import zlib
from collections.abc import Callable

import pytest

from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.gate.bodies import Body

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONTENT = b'[{"type":"vote"}]' * 1000


def read(encoding: str, wire: bytes, max_bytes: int = 1 << 20, step: int = 7) -> bytes:
    body = Body(encoding, max_bytes)
    for at in range(0, len(wire), step):
        body.add(wire[at : at + step])
    return body.content()


@pytest.mark.parametrize(
    ("encoding", "wire"),
    [
        ("", CONTENT),
        ("identity", CONTENT),
        ("gzip", gzip.compress(CONTENT, mtime=0)),
        ("GZIP ", gzip.compress(CONTENT, mtime=0)),
        ("deflate", zlib.compress(CONTENT)),
        ("zstd", zstd.compress(CONTENT)),
    ],
)
def test_every_encoding_is_read_in_pieces(encoding: str, wire: bytes) -> None:
    """Chunks may end anywhere."""
    assert read(encoding, wire) == CONTENT


@pytest.mark.parametrize(
    ("encoding", "compress", "size_bytes"),
    [("gzip", gzip.compress, 50 << 20), ("zstd", zstd.compress, 50 << 20), ("", bytes, 2 << 20)],
)
def test_a_bomb_is_inflated_no_further_than_the_cap(
    encoding: str, compress: Callable[[bytes], bytes], size_bytes: int
) -> None:
    """50 MiB of zeros cost one byte more than the cap."""
    body = Body(encoding, 1 << 20)
    with pytest.raises(RequestError) as caught:
        body.add(compress(bytes(size_bytes)))
    assert (caught.value.status, caught.value.close) == (413, True)
    assert body.size_bytes == (1 << 20) + 1


@pytest.mark.parametrize(
    ("encoding", "wire", "status"),
    [
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(CONTENT, mtime=0)[:-9], 400),
        ("gzip", gzip.compress(CONTENT, mtime=0) + b"more", 400),
        ("zstd", b"not zstd at all", 400),
        ("zstd", zstd.compress(CONTENT)[:-3], 400),
        ("br", CONTENT, 415),
        ("gzip, gzip", CONTENT, 415),
    ],
)
def test_what_does_not_inflate_is_refused(encoding: str, wire: bytes, status: int) -> None:
    """Cut short, damaged, or of an encoding that is not taken."""
    with pytest.raises(RequestError) as caught:
        read(encoding, wire, step=1000)
    assert caught.value.status == status


def test_a_zstd_frame_cannot_ask_for_a_huge_window() -> None:
    """Decoding a frame with a window of 512 MiB would need that much memory."""
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 29,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    wire = compressor.compress(b"x" * 100_000) + compressor.flush()
    with pytest.raises(RequestError) as caught:
        read("zstd", wire, step=len(wire))
    assert caught.value.status == 400
