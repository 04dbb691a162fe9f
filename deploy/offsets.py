"""How far Kafka's consumer groups are: end offsets, committed offsets and lag, per group and topic."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

_TIMEOUT_S: Final = 5.0


class OffsetsError(Exception):
    """Kafka did not answer. The same question, later, is the remedy."""


@dataclass(frozen=True)
class Progress:
    """A group's way through one topic, summed over partitions. lag: of partitions never committed, all of it."""

    end_offset: int
    committed_offset: int

    @property
    def lag_messages(self) -> int:
        return max(0, self.end_offset - self.committed_offset)


class Offsets:
    """Asks Kafka's admin interface. `close` is not needed: it holds no consumer.

    groups: whose offsets. One that somebody else has, and forgot, says nothing of how far Keeprate is.
    """

    def __init__(self, brokers: str, groups: Sequence[str], topic_prefix: str = "keeprate.") -> None:
        self._admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
        self._groups = groups
        self._prefix = topic_prefix

    def read(self) -> dict[tuple[str, str], Progress]:
        """Each group's progress on our topics, by group and topic. Raises OffsetsError."""
        try:
            committed = {group: self._committed(group) for group in self._groups}
            partitions = {each for offsets in committed.values() for each in offsets}
            beginnings, ends = self._offsets(partitions, earliest=True), self._offsets(partitions, earliest=False)
        except (KafkaException, TimeoutError) as error:
            # A broker that is away lets the future's own time run out, or the request's: whichever is first.
            raise OffsetsError(str(error) or f"no answer within {_TIMEOUT_S:.0f} s") from error
        return sums(committed, beginnings, ends)

    def _committed(self, group: str) -> dict[tuple[str, int], int]:
        request = [ConsumerGroupTopicPartitions(group)]
        futures = self._admin.list_consumer_group_offsets(request, request_timeout=_TIMEOUT_S)
        answer = futures[group].result(_TIMEOUT_S)
        return {
            (each.topic, each.partition): each.offset
            for each in answer.topic_partitions or ()
            if each.topic.startswith(self._prefix) and each.error is None
        }

    def _offsets(self, partitions: set[tuple[str, int]], earliest: bool) -> dict[tuple[str, int], int]:
        if not partitions:
            return {}
        # Untyped in confluent-kafka 2.16, and exported there without being listed.
        of = cast(Any, OffsetSpec)
        spec = of.earliest() if earliest else of.latest()
        request = {TopicPartition(topic, partition): spec for topic, partition in partitions}
        futures = self._admin.list_offsets(request, request_timeout=_TIMEOUT_S)
        return {(each.topic, each.partition): future.result(_TIMEOUT_S).offset for each, future in futures.items()}


def sums(
    committed: Mapping[str, Mapping[tuple[str, int], int]],
    beginnings: Mapping[tuple[str, int], int],
    ends: Mapping[tuple[str, int], int],
) -> dict[tuple[str, str], Progress]:
    """Offsets per partition added up per group and topic. A partition never committed is read from its beginning."""
    added: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for group, offsets in committed.items():
        for (topic, partition), offset in offsets.items():
            sum_ = added[group, topic]
            sum_[0] += ends[topic, partition]
            sum_[1] += offset if offset >= 0 else beginnings[topic, partition]
    return {key: Progress(*numbers) for key, numbers in added.items()}
