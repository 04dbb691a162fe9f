"""Facts about the headers of a dead letter."""

import pytest

from keeprate.schemas.dead_letters import MAX_TEXT_BYTES, NAMES, DeadLetter, dead_letter, decode_headers, encode_headers
from keeprate.schemas.decode import ContractError


def _letter(reason: str = "required, and absent") -> DeadLetter:
    error = ContractError("invalid", reason, "occurred_at")
    return dead_letter(error, "join", "keeprate.feedback", 3, 41, 1_700_000_000_000, (("traceparent", b"00"),))


def test_headers_come_back_as_they_went_in() -> None:
    """Encoding and decoding lose nothing, the record's own headers included."""
    assert decode_headers(encode_headers(_letter())) == _letter()


def test_a_record_cannot_pass_its_own_headers_for_ours() -> None:
    """Headers of the refused record that bear our names stay its own."""
    own = tuple((name, b"forged") for name in NAMES)
    letter = DeadLetter("sink", "not_json", "", "no JSON", "keeprate.generations", 0, 0, headers=own)
    assert decode_headers(encode_headers(letter)) == letter


def test_a_long_reason_is_cut_at_a_character() -> None:
    """A header of ours is at most MAX_TEXT_BYTES of valid UTF-8."""
    reason = decode_headers(encode_headers(_letter("é" * MAX_TEXT_BYTES))).reason
    assert reason == "é" * (MAX_TEXT_BYTES // 2)


@pytest.mark.parametrize("headers", [None, [], [("keeprate-stage", b"join")], [(name, b"x") for name in NAMES]])
def test_a_record_without_our_headers_is_no_dead_letter(headers: list[tuple[str, bytes | None]] | None) -> None:
    """Decoding refuses it instead of guessing."""
    with pytest.raises(ContractError):
        decode_headers(headers)
