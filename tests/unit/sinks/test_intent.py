"""The write-ahead intent and the tokens made of it."""

import pytest

from keeprate.sinks.landing.intent import LIVES, PARTS, Intent, token


def test_an_intent_survives_its_metadata() -> None:
    """Decoding what was encoded gives the same intent."""
    intent = Intent(10, 25, "1.3")
    assert Intent.decode(intent.encode(), committed=10) == intent


@pytest.mark.parametrize(
    "intent", [Intent(10, 25, "1.3", 2), Intent(10, 25, "1.3", 3, (4, 90)), Intent(7, 7, "1.3", 4)]
)
def test_attempts_and_parts_survive_their_metadata(intent: Intent) -> None:
    """Whoever finds it knows how many attempts did not come back, and which range was cut in parts."""
    assert Intent.decode(intent.encode(), committed=intent.first) == intent


def test_a_first_attempt_is_noted_as_older_sinks_read_it() -> None:
    """A sink of an older version, which takes over after a crash, replays the same range."""
    assert Intent(10, 25, "1.3").encode() == "keeprate/1 10-25 1.3"


def _land(first: int, last: int, lethal: set[int]) -> tuple[list[int], int]:
    """What is set aside of a range in which some records end each process that looks at them, and how many ended."""
    aside, deaths = [], 0
    found: Intent | None = Intent(first, last, "1.3")
    offset = first
    while offset <= last:
        intent = found or Intent(offset, last, "1.3")
        if not intent.is_set_aside and lethal & set(range(intent.first, intent.last + 1)):
            deaths += 1
            assert intent.first == offset
            found = Intent.decode(intent.encode(), offset)
            assert found == intent
            found = found.again()
            continue
        aside += [intent.first] * intent.is_set_aside
        offset = intent.last + 1
        following = intent.following()
        # The process ends between two parts, and the next one reads what it noted.
        noted = Intent.decode(following.resting().encode(), offset) if following else None
        found = noted.again() if noted else None
        assert found == following
        # To its end, what a former attempt may have landed is looked for.
        assert found is not None or offset > last or deaths < LIVES
    return aside, deaths


def test_what_follows_a_part_of_a_part_is_a_part_of_the_whole() -> None:
    """Nothing of a range that was cut is taken for new, and no more is cut small than what ended a process."""
    part: Intent | None = Intent(0, 199, "1.3", LIVES).again()
    assert part is not None
    assert (part.first, part.last) == (0, 12)
    part, seen = part.again(), []
    while part is not None:
        seen.append((part.first, part.last))
        part = part.following()
    assert seen[:14] == [*[(n, n) for n in range(13)], (13, 25)]
    assert seen[-1] == (195, 199)


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 800, 50_000])
@pytest.mark.parametrize("where", [0.0, 0.37, 1.0])
def test_the_one_record_that_ends_processes_is_set_aside(size: int, where: float) -> None:
    """It alone, whatever range it is in, after few deaths: the lives of its range, and one for each level of parts."""
    lethal = 100 + round((size - 1) * where)
    aside, deaths = _land(100, 100 + size - 1, {lethal})
    assert aside == [lethal]
    levels = next(n for n in range(10) if PARTS**n >= size)
    assert LIVES <= deaths <= LIVES + levels


def test_of_many_that_end_processes_each_is_set_aside() -> None:
    """And nothing else, near each other and apart."""
    lethal = {100, 101, 140, 599, 600, 899}
    aside, deaths = _land(100, 899, lethal)
    assert set(aside) == lethal
    assert deaths <= len(lethal) * (LIVES + 3)


def test_an_attempt_that_came_back_is_not_counted() -> None:
    """What rests is taken up by the attempt that it was; so it may rest as often as the store is away."""
    intent = Intent(5, 5, "1.3", LIVES)
    for _ in range(10):
        noted = Intent.decode(intent.resting().encode(), 5)
        assert noted is not None
        assert noted.again() == intent
    assert not intent.is_set_aside


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
