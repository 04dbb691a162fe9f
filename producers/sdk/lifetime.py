"""Lifetimes: clients end with the process, and begin anew in a forked child."""

import atexit
import logging
import os
import time
from typing import Final, Protocol

log = logging.getLogger("keeprate.producers")

EXIT_TIMEOUT_S: Final = 3.0
"""How long the exit of a process may wait for its brokers, all clients together; the rest stays in the spool."""


class Closable(Protocol):
    """What outlives neither its process nor a fork."""

    def close(self, timeout_s: float) -> None:
        """Deliver for at most `timeout_s`."""

    def _begin_anew(self) -> None:
        """Called in a forked child, before anything else of ours."""


# Strong references: a client that the app has let go of still holds events, and closes with the process.
_open: dict[int, Closable] = {}


def remember(client: Closable) -> None:
    """Close the client when the process exits, and renew it in each child."""
    _open[id(client)] = client


def detach(client: Closable) -> None:
    """The client is closed."""
    _open.pop(id(client), None)


def remembered() -> list[Closable]:
    """The clients that are open."""
    return list(_open.values())


def _close_all() -> None:
    give_up_at = time.monotonic() + EXIT_TIMEOUT_S
    for client in list(_open.values()):
        try:
            client.close(max(0.0, give_up_at - time.monotonic()))
        except Exception:
            log.exception("a client could not be closed; the others are")


def _begin_all_anew() -> None:
    for client in list(_open.values()):
        client._begin_anew()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_anew)
