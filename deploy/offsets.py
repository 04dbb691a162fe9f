"""How far Kafka's consumer groups are: end offsets, committed offsets and lag, per group and topic."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from keeprate.schemas.access.brokers import security

_TIMEOUT_S: Final = 5.0


class OffsetsError(Exception):
    """Kafka did not answer. The same question, later, is the remedy."""


@dataclass(frozen=True)
class GroupProgress:
    """A group's way through one topic, summed over partitions. lag: of partitions never committed, all of it."""

    end_offset: int
    committed_offset: int

    @property
    def lag_messages(self) -> int:
        return max(0, self.end_offset - self.committed_offset)


class Offsets:
    """Asks Kafka, over connections that live as long as it does. `close` is not needed: it is a member of no group.

    groups: whose offsets. One that somebody else has, and forgot, says nothing of how far Keeprate is.
    """

    def __init__(self, brokers: str, groups: Sequence[str], topic_prefix: str = "keeprate.") -> None:
        settings: dict[str, Any] = {"bootstrap.servers": brokers, "log_level": 0, **security(brokers)}
        self._admin = AdminClient(settings)
        # A client of each group, because only such a one outlives the answer that the group has another coordinator
        # by now: the admin client has a question for offsets too, and ends the process (librdkafka #5040).
        self._clients = {group: Consumer({**settings, "group.id": group}) for group in groups}
        self._prefix = topic_prefix

    def read(self) -> dict[tuple[str, str], GroupProgress]:
        """Each group's progress on our topics, by group and topic. Raises OffsetsError."""
        try:
            present = self._partitions()
            committed = {group: _committed(client, present) for group, client in self._clients.items()}
            partitions = {each for offsets in committed.values() for each in offsets}
            beginnings, ends = self._offsets(partitions, earliest=True), self._offsets(partitions, earliest=False)
        except (KafkaException, TimeoutError) as error:
            # A broker that is away lets the future's own time run out, or the request's: whichever is first.
            raise OffsetsError(str(error) or f"no answer within {_TIMEOUT_S:.0f} s") from error
        return sums(committed, beginnings, ends)

    def _partitions(self) -> list[tuple[str, int]]:
        topics = self._admin.list_topics(timeout=_TIMEOUT_S).topics.items()
        return [
            (name, number) for name, topic in topics if name.startswith(self._prefix) for number in topic.partitions
        ]

    def _offsets(self, partitions: set[tuple[str, int]], earliest: bool) -> dict[tuple[str, int], int]:
        if not partitions:
            return {}
        # Untyped in confluent-kafka 2.16, and exported there without being listed.
        of = cast(Any, OffsetSpec)
        spec = of.earliest() if earliest else of.latest()
        request = {TopicPartition(topic, partition): spec for topic, partition in partitions}
        futures = self._admin.list_offsets(request, request_timeout=_TIMEOUT_S)
        return {(each.topic, each.partition): future.result(_TIMEOUT_S).offset for each, future in futures.items()}


def _committed(client: Consumer, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """What the client's group has committed in the topics that it reads: those where it committed something."""
    asked = client.committed([TopicPartition(*at) for at in partitions], timeout=_TIMEOUT_S) if partitions else []
    found = [each for each in asked if each.error is None]
    read = {each.topic for each in found if each.offset >= 0}
    return {(each.topic, each.partition): each.offset for each in found if each.topic in read}


def sums(
    committed: Mapping[str, Mapping[tuple[str, int], int]],
    beginnings: Mapping[tuple[str, int], int],
    ends: Mapping[tuple[str, int], int],
) -> dict[tuple[str, str], GroupProgress]:
    """Offsets per partition added up per group and topic. A partition never committed is read from its beginning."""
    added: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for group, offsets in committed.items():
        for (topic, partition), offset in offsets.items():
            sum_ = added[group, topic]
            sum_[0] += ends[topic, partition]
            sum_[1] += offset if offset >= 0 else beginnings[topic, partition]
    return {key: GroupProgress(*numbers) for key, numbers in added.items()}
