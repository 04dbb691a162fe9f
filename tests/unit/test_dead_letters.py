"""Facts about the headers of a dead letter."""

import hashlib
from dataclasses import replace

import pytest
from confluent_kafka import Producer
from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.schemas.dead_letters import (
    HEAD_BYTES,
    MAX_RECORD_BYTES,
    MAX_TEXT_BYTES,
    NAMES,
    DeadLetter,
    app_of,
    dead_letter,
    decode_headers,
    encode_headers,
    encode_letter,
    header_name,
    quarantine,
)
from keeprate.schemas.decode import ContractError
from keeprate.schemas.topics import DEAD_LETTERS
from tests.examples import examples

WHERE = ("keeprate.feedback", 3, 41, 1_700_000_000_000)


def _letter(reason: str = "required, and absent") -> DeadLetter:
    error = ContractError("invalid", reason, "occurred_at")
    return dead_letter(error, "join", *WHERE, (("traceparent", b"00"),), app="chat")


def test_headers_come_back_as_they_went_in() -> None:
    """Encoding and decoding lose nothing, the record's own headers included."""
    assert decode_headers(encode_headers(_letter())) == _letter()


def test_a_record_cannot_pass_its_own_headers_for_ours() -> None:
    """Headers of the refused record that bear our names stay its own."""
    own = tuple((name, b"forged") for name in NAMES)
    letter = DeadLetter("sink", "not_json", "", "no JSON", "keeprate.generations", 0, 0, headers=own)
    assert decode_headers(encode_headers(letter)) == letter


def test_a_letter_of_the_version_before_is_read() -> None:
    """It ends after the time of the record, and names no app."""
    headers = encode_headers(_letter())[: -NAMES[::-1].index("keeprate-timestamp-ms")]
    assert headers[-1][0] == "keeprate-timestamp-ms"
    assert decode_headers(headers) == replace(_letter(), app="")


def test_a_long_reason_is_cut_at_a_character() -> None:
    """A header of ours is at most MAX_TEXT_BYTES of valid UTF-8."""
    reason = decode_headers(encode_headers(_letter("é" * MAX_TEXT_BYTES))).reason
    assert reason == "é" * (MAX_TEXT_BYTES // 2)


@pytest.mark.parametrize("headers", [None, [], [("keeprate-stage", b"join")], [(name, b"x") for name in NAMES]])
def test_a_record_without_our_headers_is_no_dead_letter(headers: list[tuple[str, bytes | None]] | None) -> None:
    """Decoding refuses it instead of guessing."""
    with pytest.raises(ContractError):
        decode_headers(headers)


def test_what_the_source_topics_hold_uncompressed_goes_in_whole() -> None:
    """Key, bytes and headers of a record as large as the topic takes it."""
    key, value = b"k" * 36, b"v" * (MAX_RECORD_BYTES - 36 - len("traceparent") - 4)
    kept = encode_letter(_letter(), key, value)
    assert kept[:2] == (key, value)
    assert decode_headers(kept[2]) == _letter()


def test_of_a_larger_record_there_are_the_head_its_size_and_its_digest() -> None:
    """Kafka holds 20 MB of zeros in some kilobytes, and takes a letter of so many bytes from nobody."""
    value = bytes(20_000_000)
    key, kept, headers = encode_letter(_letter(), b"key", value)
    letter = decode_headers(headers)
    assert (key, kept) == (b"key", value[:HEAD_BYTES])
    assert letter.cut == f"value: 20000000 bytes, sha256 {hashlib.sha256(value).hexdigest()}"
    assert replace(letter, cut="") == _letter()


def _fault(depth: int) -> Exception:
    try:
        return _fault(depth - 1) if depth else ValueError(1 / 0)
    except ZeroDivisionError as error:
        return error


def test_the_letter_of_a_quarantined_record_tells_one_fault_from_another() -> None:
    """Its reason is the exception, and its trace is equal where the exception came the same way."""
    here, again, elsewhere = (decode_headers(encode_headers(quarantine(_fault(n), "join", *WHERE))) for n in (0, 0, 1))
    assert (here.error_type, here.reason) == ("quarantined", "ZeroDivisionError: division by zero")
    assert here.trace == again.trace == elsewhere.trace != ""
    assert quarantine(ZeroDivisionError("division by zero"), "join", *WHERE).trace != here.trace


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_that_cannot_say_what_it_is_is_named() -> None:
    """Its class is all there is."""
    assert quarantine(_Unspeakable(), "join", *WHERE).reason == "_Unspeakable"


@pytest.mark.parametrize(
    ("value", "app"),
    [
        (b'{"app": "chat", "type": 1}', "chat"),
        (b'{"app": "chat", "output": "' + b"x" * 20_000_000, "chat"),
        (b'{"app": "chat", "output": "' + "é".encode() * HEAD_BYTES, "chat"),
        (b'{"attributes": {"app": "chat"}}', ""),
        (b'{"app": "no app\\u0000"}', ""),
        (b'{"app": ["chat"]}', ""),
        (b'["app", "chat"]', ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_a_refused_record_names_its_app_where_it_can_be_read(value: bytes | None, app: str) -> None:
    """Of a record of any size, and of one that is no event."""
    assert app_of(value) == app


# What a record may be: its parts are any bytes, of any size that compression lets through.
sizes = st.sampled_from([1, 1, 1, 100, HEAD_BYTES, MAX_RECORD_BYTES // 9, MAX_RECORD_BYTES // 4])
contents = st.none() | st.builds(lambda part, times: part * times, st.binary(max_size=9), sizes)
names = st.builds(lambda part, times: header_name(part * times), st.binary(max_size=4), sizes)


@settings(max_examples=examples(20))
@given(contents, contents, st.lists(st.tuples(names, contents), max_size=3), st.sampled_from([1, 100_000]), st.text())
def test_the_letter_of_any_record_is_taken(
    key: bytes | None, value: bytes | None, own: list[tuple[str, bytes | None]], times: int, reason: str
) -> None:
    """By the producer, whose limit is the topic's: whatever its parts are made of, and however many headers it has."""
    many = own * times if sum(len(name) + len(content or b"") for name, content in own) < 30 else own
    producer = Producer({"message.max.bytes": int(DEAD_LETTERS.config["max.message.bytes"]), "log_level": 0})
    letter = replace(_letter(reason), headers=tuple(many))
    key, value, headers = encode_letter(letter, key, value)
    producer.produce(DEAD_LETTERS.name, value, key, headers=list(headers))
    producer.purge()
    assert decode_headers(headers).text[:100] == letter.text.encode("utf-8", "replace").decode()[:100]
