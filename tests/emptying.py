"""A broker as it was when it had just started, without the start."""

import time
from concurrent.futures import Future
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from keeprate.schemas.topics import JOIN_GROUP, READER_GROUP, SINK_GROUP

_TIMEOUT_S: Final = 30.0
_INTERNAL: Final = "__"
_OWN_GROUPS: Final = frozenset((JOIN_GROUP, SINK_GROUP, READER_GROUP))


def remove_all(bootstrap: str) -> bool:
    """Remove every topic and every group. False where one of Keeprate's own still has members: they were killed, and
    who joins would wait for them. Groups that a test named for itself nobody else will join.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    groups = [each.group_id for each in admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result().valid]
    removed = admin.delete_consumer_groups(groups) if groups else {}
    if {name for name, done in removed.items() if not _is_gone(done)} & _OWN_GROUPS:
        return False
    topics = _topics(admin)
    for done in admin.delete_topics(topics).values() if topics else ():
        done.result(_TIMEOUT_S)
    # The controller has done it; the broker hears of it a moment later.
    deadline_s = time.monotonic() + _TIMEOUT_S
    while _topics(admin):
        assert time.monotonic() < deadline_s, f"{bootstrap} still has topics"
        time.sleep(0.05)
    return True


def _topics(admin: AdminClient) -> list[str]:
    return [name for name in admin.list_topics(timeout=_TIMEOUT_S).topics if not name.startswith(_INTERNAL)]


def _is_gone(removed: "Future[None]") -> bool:
    try:
        removed.result(_TIMEOUT_S)
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.NON_EMPTY_GROUP:
            return False
        # The offsets of the last of its topics may have been removed meanwhile.
        if code != KafkaError.GROUP_ID_NOT_FOUND:
            raise
    return True
