"""What tests ask of a broker, once each: the classes that it loads for that are kept for those that tests start."""

from typing import Final

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from keeprate.schemas.topics import DEFAULT_PARTITIONS, FEEDBACK, SOURCES
from tests.emptying import remove_all
from tests.offsets import Offsets
from tests.streaming import create_topics, produce, remove_records

_GROUP: Final = "exercise"
_RECORDS: Final = 50


def exercise(bootstrap: str) -> None:
    """Topics are made, written, read and removed, by a group and in a transaction."""
    names = [topic.name for topic in SOURCES]
    create_topics(bootstrap)
    produce(bootstrap, [(name, b"%d" % number, b"{}") for name in names for number in range(_RECORDS)])
    _transaction(bootstrap)
    _read(bootstrap, names)
    with Offsets(bootstrap, _GROUP, names, DEFAULT_PARTITIONS) as offsets:
        offsets.reached()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for described in admin.describe_configs([ConfigResource(ResourceType.TOPIC, FEEDBACK.name)]).values():
        described.result(30)
    remove_records(bootstrap, FEEDBACK.name)
    remove_all(bootstrap)


def _transaction(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": _GROUP})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(FEEDBACK.name, b"{}", b"k")
    producer.commit_transaction(30)


def _read(bootstrap: str, names: list[str]) -> None:
    settings = {"bootstrap.servers": bootstrap, "group.id": _GROUP, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings | {"enable.auto.commit": False})
    consumer.subscribe(names)
    left = len(names) * _RECORDS
    while left > 0:
        left -= len(consumer.consume(_RECORDS, 1.0))
    consumer.commit(asynchronous=False)
    consumer.close()
