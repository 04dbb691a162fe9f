"""What Kafka may fail to do, as one class per reaction:

BrokerError                 code
├── FencedError             the partition has another owner: drop what is in hand, write nothing
├── BrokerUnavailableError  nothing was said: pause and retry
├── DeliveryError           a record was not taken: stop, never skip
└── OffsetLostError         the topic no longer holds the next offset: stop, never jump
"""


class BrokerError(Exception):
    """Kafka did not do it. `code` is librdkafka's name of the error."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class FencedError(BrokerError):
    """A commit was refused because the partition is, or may be, another member's by now."""


class BrokerUnavailableError(BrokerError):
    """A call was not answered, or the coordinator is moving. The same call, later, is the remedy."""


class DeliveryError(BrokerError):
    """The broker did not acknowledge a dead letter."""


class OffsetLostError(BrokerError):
    """The next offset to land is not in the topic any more: retention overtook the sink, or the topic is another."""
