"""The write-ahead intent and the tokens made of it."""

from keeprate.sinks.intent import Intent, token


def test_an_intent_survives_its_metadata() -> None:
    """Decoding what was encoded gives the same intent."""
    intent = Intent(10, 25, "1.3")
    assert Intent.decode(intent.encode(), committed=10) == intent


def test_metadata_of_others_is_no_intent() -> None:
    """Empty and foreign metadata mean that no flush was begun."""
    assert Intent.decode("", 10) is None
    assert Intent.decode(None, 10) is None
    assert Intent.decode("offset reset by an operator", 10) is None


def test_an_intent_that_does_not_begin_at_the_committed_offset_is_void() -> None:
    """After an operator moved the group's offset, the old range is not replayed."""
    assert Intent.decode(Intent(10, 25, "1.3").encode(), committed=500) is None


def test_tokens_differ_by_everything_that_tells_inserts_apart() -> None:
    """Sink, topic, partition, range, revision and part each change the token."""
    intent = Intent(1, 2, "1.3")
    tokens = {
        token("s", "t", 0, intent, "p"),
        token("z", "t", 0, intent, "p"),
        token("s", "u", 0, intent, "p"),
        token("s", "t", 1, intent, "p"),
        token("s", "t", 0, Intent(1, 3, "1.3"), "p"),
        token("s", "t", 0, Intent(1, 2, "1.4"), "p"),
        token("s", "t", 0, intent, "q"),
    }
    assert len(tokens) == 7
