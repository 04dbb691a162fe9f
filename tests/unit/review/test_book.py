"""Who has what: never more reviewers of a suggestion than asked for, and what is given out comes back."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from keeprate.deploy.review.book import Book, TakenError
from keeprate.deploy.review.choosing import Candidate, Item, Slot, choose, complete, open_for

MINUTE_MS = 60_000
KEPT_MS = 15 * MINUTE_MS
REVIEWERS = ("ann", "bob", "cyd")


def item(number: int) -> Item:
    return Item("app", f"00000000-0000-7000-8000-{number:012}", 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("claim", "finish", "skip", "undo", "wait")),
        st.sampled_from(REVIEWERS),
        st.integers(1, 20),
    ),
    max_size=40,
)


@pytest.fixture
def book() -> Iterator[Book]:
    """A book that nobody shares."""
    book = Book(":memory:")
    yield book
    book.close()


class Desk:
    """What reviewers do with a book, and what they hold."""

    def __init__(self, reviewers: int) -> None:
        self.book = Book(":memory:")
        self.candidates = [Candidate(item(number), reviewers) for number in range(4)]
        self.now_ms = 0

    def do(self, step: str, who: str, number: int) -> None:
        if step == "wait":
            self.now_ms += number * MINUTE_MS
        elif step == "undo":
            last = self.book.last("q", who)
            if last is not None:
                self.speak(last.slot.item, who, "reserved")
        else:
            claimed = self.book.claim("q", self.candidates, who, 2, self.now_ms, self.now_ms + KEPT_MS)
            if claimed and step != "claim":
                self.speak(claimed[0], who, "done" if step == "finish" else "skipped")

    def speak(self, spoken: Item, who: str, state: str) -> None:
        candidate = next(each for each in self.candidates if each.item == spoken)
        until_ms = self.now_ms + KEPT_MS
        try:
            self.book.hold("q", candidate, who, self.now_ms, until_ms)
        except TakenError:
            return
        self.book.finish(Slot(spoken, who, "q", state, until_ms, self.now_ms), {})  # type: ignore[arg-type]

    def slots(self) -> list[Slot]:
        return self.book.slots([each.item for each in self.candidates])


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(st.integers(1, 3), STEPS)
def test_a_suggestion_never_has_more_reviewers_than_it_wants(reviewers: int, steps: list[tuple[str, str, int]]) -> None:
    """Whatever they do, in whatever order, and however long they wait."""
    desk = Desk(reviewers)
    for step in steps:
        desk.do(*step)
        held = Counter(slot.item for slot in desk.slots() if slot.holds(desk.now_ms))
        assert all(number <= reviewers for number in held.values())
    desk.book.close()


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(st.integers(1, 3), STEPS)
def test_what_is_given_out_comes_back(reviewers: int, steps: list[tuple[str, str, int]]) -> None:
    """Once all reservations are over, whoever has not seen a suggestion that lacks reviewers is given it."""
    desk = Desk(reviewers)
    for step in steps:
        desk.do(*step)
    desk.now_ms += KEPT_MS
    slots = desk.slots()
    for candidate in desk.candidates:
        of_item = [slot for slot in slots if slot.item == candidate.item]
        done = {slot.reviewer for slot in of_item if slot.state == "done"}
        seen = {slot.reviewer for slot in of_item if slot.state != "reserved"}
        given_out = choose([candidate], of_item, "new", 1, desk.now_ms)
        assert bool(given_out) == (len(done) < reviewers)
        for who in REVIEWERS:
            assert bool(choose([candidate], of_item, who, 1, desk.now_ms)) == (
                who not in seen and len(done) < reviewers
            )
    desk.book.close()


def test_two_pages_at_once_never_give_out_one_place_twice(tmp_path: Path) -> None:
    """Two books over one file, eight threads: each of 40 suggestions is given to one reviewer."""
    books = [Book(tmp_path / "review.sqlite") for _ in range(2)]
    candidates = [Candidate(item(number), 1) for number in range(40)]
    given_out: list[Item] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        while claimed := books[number % 2].claim("q", candidates, f"r{number}", 1, 0, KEPT_MS):
            given_out.extend(claimed)
            books[number % 2].finish(Slot(claimed[0], f"r{number}", "q", "done", 0, 1), {})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given_out) == sorted(each.item for each in candidates)
    for book in books:
        book.close()


def test_who_read_what_others_say_is_not_given_it(book: Book) -> None:
    """While they hold it they read nothing of that; once they have spoken they may, and may say it anew."""
    candidates = [Candidate(item(number), 2) for number in range(2)]
    first, second = (each.item for each in candidates)
    book.claim("q", candidates[:1], "ann", 1, 0, KEPT_MS)
    assert book.read(first.app, first.generation_id, "ann", 1) == ["q"]
    assert book.read(second.app, second.generation_id, "ann", 1) == []
    assert book.claim("q", candidates, "ann", 2, 2, KEPT_MS) == [first]
    assert open_for(candidates, book.slots([first, second]), "ann", 2) == 1
    assert book.claim("q", candidates, "bob", 2, 2, KEPT_MS) == [first, second]
    with pytest.raises(TakenError):
        book.hold("q", candidates[1], "ann", 3, KEPT_MS)
    book.finish(Slot(first, "ann", "q", "done", 0, 4), {})
    assert book.read(first.app, first.generation_id, "ann", 5) == []
    book.hold("q", candidates[0], "ann", 6, KEPT_MS)


def test_who_read_it_when_the_reservation_was_over_is_not_heard(book: Book) -> None:
    """However free the place is: they have read what others say meanwhile."""
    candidate = Candidate(item(1), 1)
    book.claim("q", [candidate], "ann", 1, 0, KEPT_MS)
    assert book.read(candidate.item.app, candidate.item.generation_id, "ann", KEPT_MS) == []
    with pytest.raises(TakenError):
        book.hold("q", candidate, "ann", KEPT_MS + 1, 2 * KEPT_MS)


def test_who_read_what_they_skipped_has_not_spoken_of_it(book: Book) -> None:
    """To skip, to read what others say and to judge it then is to repeat them, and so it is with another choice."""
    skipped, judged = Candidate(item(1), 2), Candidate(item(2), 2)
    other = Candidate(judged.item._replace(choice_index=1), 2)
    for candidate, state in ((skipped, "skipped"), (judged, "done")):
        book.finish(Slot(candidate.item, "ann", "q", state, 0, 4), {})  # type: ignore[arg-type]
        assert book.read(candidate.item.app, candidate.item.generation_id, "ann", 5) == []
    with pytest.raises(TakenError):
        book.hold("q", skipped, "ann", 6, KEPT_MS)
    assert book.claim("q", [skipped, judged, other], "ann", 3, 6, KEPT_MS) == []
    # What was said before may be taken back, and said anew.
    book.finish(Slot(judged.item, "ann", "q", "reserved", KEPT_MS, 7), {})
    assert book.claim("q", [judged, other], "ann", 2, 8, KEPT_MS) == [judged.item]
    # And once it is over, what is read is read.
    assert book.read(judged.item.app, judged.item.generation_id, "ann", KEPT_MS) == []
    with pytest.raises(TakenError):
        book.hold("q", judged, "ann", KEPT_MS + 1, 2 * KEPT_MS)


def test_what_is_held_by_one_queue_is_not_another_ones(book: Book) -> None:
    """A queue that hides less does not take it over; once the reservation is over it may."""
    candidate = Candidate(item(1), 2)
    for queue, now_ms, held_by in (("blind", 0, "blind"), ("open", 1, "blind"), ("open", 2 * KEPT_MS, "open")):
        assert book.claim(queue, [candidate], "ann", 1, now_ms, now_ms + KEPT_MS) == [candidate.item]
        assert [slot.queue for slot in book.slots([candidate.item])] == [held_by]


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """What is done, skipped and reserved is there again, and what reviewers are called."""
    path = tmp_path / "review.sqlite"
    before = Book(path)
    candidates = [Candidate(item(number), 1) for number in range(3)]
    first, second = before.claim("q", candidates, "ann", 2, 0, KEPT_MS)
    before.finish(Slot(first, "ann", "q", "done", 0, 5), {"words": {"expert_vote": "good"}})
    before.name("ann", "Ann")
    before.close()
    after = Book(path)
    assert after.claim("q", candidates, "bob", 3, 1, KEPT_MS) == [item(2)]
    assert after.claim("q", candidates, "ann", 3, 1, KEPT_MS) == [second]
    last = after.last("q", "ann")
    assert last is not None
    assert (last.slot.item, last.standing) == (first, {"words": {"expert_vote": "good"}})
    assert after.names() == {"ann": "Ann"}
    assert after.progress(0) == [("q", "app", "ann", 1, 1, 0), ("q", "app", "bob", 0, 0, 0)]
    after.close()


def test_who_comes_too_late_is_told(book: Book) -> None:
    """A reservation that ended, and a place that somebody else took: nothing is written over theirs."""
    candidate = Candidate(item(1), 1)
    assert book.claim("q", [candidate], "ann", 1, 0, KEPT_MS) == [item(1)]
    assert book.claim("q", [candidate], "bob", 1, KEPT_MS - 1, 2 * KEPT_MS) == []
    assert book.claim("q", [candidate], "bob", 1, KEPT_MS, 2 * KEPT_MS) == [item(1)]
    with pytest.raises(TakenError):
        book.hold("q", candidate, "ann", KEPT_MS + 1, 3 * KEPT_MS)


def test_what_the_store_knows_counts_where_the_file_was_lost() -> None:
    """Judgements that landed fill places, and nobody judges twice."""
    candidate = Candidate(item(1), 2, frozenset({"ann"}))
    assert choose([candidate], [], "ann", 1, 0) == []
    assert choose([candidate], [], "bob", 1, 0) == [candidate]
    both = Candidate(item(1), 2, frozenset({"ann", "bob"}))
    assert (open_for([both], [], "cyd", 0), complete([both], [])) == (0, 1)


def test_what_is_begun_is_finished_first() -> None:
    """Of suggestions that want two reviewers, those that one has judged come first; a reviewer's own before all."""
    candidates = [Candidate(item(number), 2) for number in range(3)]
    slots = [Slot(item(1), "ann", "q", "done", 0, 0), Slot(item(2), "bob", "q", "reserved", 10, 0)]
    assert [each.item for each in choose(candidates, slots, "bob", 3, 1)] == [item(2), item(1), item(0)]
