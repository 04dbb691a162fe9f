"""How far a group has come in its topics, asked again and again over one connection."""

import time
from collections.abc import Sequence
from typing import Final, Self

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

_TIMEOUT_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.4


class Offsets:
    """What a group has committed and where its topics end; a member of nothing.

    Both are one question to the broker, however many partitions there are: tests ask again and again.
    """

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], partitions: int) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._at = [(topic, partition) for topic in topics for partition in range(partitions)]
        self._pause_s = 0.0

    def committed(self) -> dict[tuple[str, int], int]:
        """0 where the group has nothing; empty while its coordinator is not known."""
        try:
            found = self._consumer.committed([TopicPartition(*at) for at in self._at], timeout=_TIMEOUT_S)
        except KafkaException:
            return {}
        return {(one.topic, one.partition): max(one.offset, 0) for one in found}

    def ends(self) -> dict[tuple[str, int], int]:
        """The end of each partition; empty while a partition has no leader."""
        end = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._admin.list_offsets(
            {TopicPartition(*at): end for at in self._at},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_TIMEOUT_S,
        )
        try:
            return {(at.topic, at.partition): found.result().offset for at, found in asked.items()}
        except KafkaException:
            return {}

    def reached(self) -> bool:
        """Whether the group has committed the end of every partition. Where it had not, the next answer takes longer.

        The two questions cost two milliseconds of CPU time: a dozen trials that ask ten times a second take a quarter
        of a core.
        """
        time.sleep(self._pause_s)
        # The ends last: what is committed then cannot lie behind what is written in between.
        committed = self.committed()
        if committed and committed == self.ends():
            self._pause_s = 0.0
            return True
        self._pause_s = min(max(_FIRST_PAUSE_S, 1.5 * self._pause_s), _LONGEST_PAUSE_S)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
