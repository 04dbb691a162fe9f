"""Whatever order of taking, sending, settling, failing and evicting: no record is lost, doubled or out of order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.segments import OutgoingRecord, Segment, in_memory
from tests.examples import examples

SIZE = 512
KEY = b"k" * 36


class BacklogMachine(RuleBasedStateMachine):
    """A backlog beside the plain list of what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog(segment_bytes=SIZE, limit_bytes=6 * SIZE, memory_bytes=6 * SIZE)
        self.number = 0
        self.waiting: list[bytes] = []
        self.sent: list[tuple[Segment, OutgoingRecord]] = []
        self.last_sent = -1

    @rule(size=st.integers(0, 300))
    def take(self, size: int) -> None:
        """An event comes; there may be no room."""
        value = b"%06d" % self.number + b"x" * size
        if self.backlog.append(self.number % 2, KEY, value):
            self.waiting.append(value)
        self.number += 1

    @rule(count=st.integers(1, 8), is_full=st.booleans())
    def send(self, count: int, is_full: bool) -> None:
        """The sender reads on; what it reads is what waits and was not sent, from the oldest on.

        Where librdkafka's queue is full, the sender steps back before the last one.
        """
        for number in range(count):
            found = self.backlog.read()
            sent = {record.value for _, record in self.sent}
            unsent = [value for value in self.waiting if value not in sent]
            assert (found[1].value if found else None) == (unsent[0] if unsent else None)
            if found and is_full and number == count - 1:
                found[0].unread(found[1])
            elif found:
                assert int(found[1].value[:6]) > self.last_sent
                self.last_sent = int(found[1].value[:6])
                found[0].in_flight += 1
                self.sent.append(found)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """A broker acknowledges any of those in flight."""
        segment, record = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
        segment.in_flight -= 1
        segment.settle(record.offset)
        self.waiting.remove(record.value)

    @rule()
    def start_over(self) -> None:
        """The producer failed: everything unsettled is to be sent again."""
        self.backlog.rewind()
        self.sent.clear()
        self.last_sent = -1

    @rule()
    def retire(self) -> None:
        """Segments that are settled go, and hold nothing."""
        assert all(not segment.waiting for segment in self.backlog.retire())

    @rule()
    def evict(self) -> None:
        """The oldest unsent segment goes; exactly its records are gone, and none in flight."""
        if (segment := self.backlog.evict()) is not None:
            lost = [record.value for record in iter(segment.read, None)]
            assert not {record.value for _, record in self.sent} & set(lost)
            self.waiting = [value for value in self.waiting if value not in lost]

    @precondition(lambda self: self.backlog.wants_spare())
    @rule()
    def prepare(self) -> None:
        """The sender makes the next segment ready."""
        self.backlog.add_spare(in_memory(SIZE))

    @invariant()
    def counts_agree(self) -> None:
        """The number that waits, and the size, are what they should be."""
        assert self.backlog.waiting == len(self.waiting)
        assert self.backlog.size_bytes <= 6 * SIZE


BacklogMachine.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=60)
TestBacklog = BacklogMachine.TestCase
