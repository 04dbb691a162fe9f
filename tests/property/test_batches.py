"""Facts about which records are worked on together, whatever their times and wherever fetches end."""

from hypothesis import given
from hypothesis import strategies as st

from keeprate.streams.join.batches import Run, align
from tests.streaming import Stored

TOPICS = ("keeprate.generations", "keeprate.feedback")
times = st.lists(st.integers(-1, 20), max_size=12)


@given(st.tuples(times, times), st.data())
def test_every_record_comes_once_and_in_order(times_ms: tuple[list[int], list[int]], data: st.DataObject) -> None:
    """Runs follow each other without a gap until nothing is left, as long as a topic that waits is not fetched."""
    logs = {
        topic: [Stored(b"", offset, topic, timestamp=at_ms) for offset, at_ms in enumerate(all_ms)]
        for topic, all_ms in zip(TOPICS, times_ms, strict=True)
    }
    fetched, done = dict.fromkeys(TOPICS, 0), dict.fromkeys(TOPICS, 0)
    held: dict[str, Run] = {}
    while any(done[topic] < len(logs[topic]) for topic in TOPICS):
        for topic in set(TOPICS) - held.keys():
            rest = logs[topic][fetched[topic] :]
            # Something is fetched at last.
            least = int(not held and all(fetched[other] == done[other] for other in TOPICS))
            if records := rest[: data.draw(st.integers(min(least, len(rest)), len(rest)))]:
                held[topic] = Run(fetched[topic], records)
                fetched[topic] += len(records)
        behind = {topic for topic in TOPICS if fetched[topic] < len(logs[topic])}
        now, held = align(held, behind)
        assert now or not behind <= held.keys()
        for topic, run in now.items():
            assert run.start == done[topic] == run.records[0].offset
            done[topic] = run.next_offset
    assert held == {}


@given(times.filter(bool).map(sorted), times.filter(bool).map(sorted))
def test_topics_that_are_behind_go_forward_together(a_ms: list[int], b_ms: list[int]) -> None:
    """Where Kafka's times are in order, nothing is later than what is still to come of either topic."""
    held = {
        topic: Run(0, [Stored(b"", offset, topic, timestamp=at_ms) for offset, at_ms in enumerate(all_ms)])
        for topic, all_ms in zip(TOPICS, (a_ms, b_ms), strict=True)
    }
    now, _ = align(held, set(TOPICS))
    taken_ms = [record.timestamp for run in now.values() for record in run.records]
    assert sorted(taken_ms) == [at_ms for at_ms in sorted(a_ms + b_ms) if at_ms <= min(a_ms[-1], b_ms[-1])]
