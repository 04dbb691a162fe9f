"""Bodies survive compression, in any pieces and any number of frames."""

import gzip

import pytest

from keeprate.deploy.store.codec import decoder, encoder
from keeprate.deploy.store.request import DoorError

_BODY = bytes(range(256)) * 50


@pytest.mark.parametrize("coding", ["gzip", "lz4", "zstd"])
@pytest.mark.parametrize("cut", [1, 100, 100_000])
def test_what_is_encoded_can_be_decoded(coding: str, cut: int) -> None:
    """Two frames in a row are two blocks of one body, wherever the network cuts them."""
    encoded = b""
    for _ in range(2):
        encode, name = encoder(f"br, {coding};q=0.9")
        assert name == coding
        encoded += encode(_BODY) + encode.flush()
    decode = decoder(coding)
    decoded = b"".join(decode(encoded[at : at + cut]) for at in range(0, len(encoded), cut)) + decode.flush()
    assert decoded == _BODY * 2


def test_a_client_that_accepts_nothing_we_have_gets_plain_bytes() -> None:
    """Identity is always acceptable."""
    for accepted in (None, "br", "gzip;q=0"):
        encode, name = encoder(accepted)
        assert (encode(_BODY), encode.flush(), name) == (_BODY, b"", None)


def test_a_body_that_breaks_off_is_refused() -> None:
    """Half an INSERT must not be taken for a whole one."""
    decode = decoder("gzip")
    decode(gzip.compress(_BODY)[:-4])
    with pytest.raises(DoorError, match="ends too early"):
        decode.flush()


@pytest.mark.parametrize("coding", ["gzip", "lz4", "zstd"])
def test_a_body_that_is_not_compressed_as_it_says_is_refused(coding: str) -> None:
    """A client's mistake is a 400, not a crash."""
    decode = decoder(coding)
    with pytest.raises(DoorError, match="cannot be decompressed"):
        decode(b"this is plain text, long enough to be looked at")


def test_an_unknown_coding_is_refused_by_name() -> None:
    """The client learns what to send instead."""
    with pytest.raises(DoorError, match="br is not available here: send gzip") as caught:
        decoder("br")
    assert caught.value.status == 415
