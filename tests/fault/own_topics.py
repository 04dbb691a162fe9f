"""Topics of a trial's own: the registry's, under other names, in processes that are started for the trial."""

from keeprate.schemas.topics import ALL, DEAD_LETTERS
from keeprate.sinks.kafka.client import DeadLetterProducer


def rename_topics(prefix: str) -> None:
    """Have the registry of this process name its topics so."""
    for topic in ALL:
        object.__setattr__(topic, "name", prefix + topic.name)
    # It was taken from the registry when the class was made.
    DeadLetterProducer.write.__defaults__ = (DEAD_LETTERS.name,)
