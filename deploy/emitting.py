"""What the commands that emit share: a client that is known to reach its brokers, a bar, and an end that is checked."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from keeprate.deploy.settings import from_environment
from keeprate.deploy.topics import TopicsError, create_topics
from keeprate.producers.errors import FullError, ProducerError
from keeprate.producers.sdk.client import Keeprate

STALLED_S = 60.0
"""A command gives up when the brokers take nothing for this long."""

console = Console(stderr=True, highlight=False)


class EmitError(Exception):
    """Not everything was delivered; the message says how much, and the remedy."""


@contextmanager
def emitting(app: str, brokers: str) -> Iterator[Keeprate]:
    """A client for `emit(event, block=True, timeout_s=STALLED_S)`; on leaving, everything has been acknowledged.

    Creates the topics where they are missing. Raises EmitError.
    """
    try:
        made = from_environment().topics
        create_topics(brokers, made.partitions, made.replication, made.min_insync_replicas)
        with Keeprate(app, brokers=brokers) as client:
            yield client
            settle(client, brokers)
    except TopicsError as error:
        raise EmitError(f"{error}; keeprate up starts a broker on this machine") from error
    except FullError as error:
        raise EmitError(
            f"{brokers} took nothing for {error.waited_s:.0f} s; run this again: nothing doubles"
        ) from error
    except ProducerError as error:
        raise EmitError(str(error)) from error


@contextmanager
def reaching(app: str, brokers: str = "") -> Iterator[Keeprate]:
    """The same by the way that this process has: a collector where KEEPRATE_URL names one, and no brokers are given.

    Raises EmitError.
    """
    url = "" if brokers else os.environ.get("KEEPRATE_URL", "")
    if not url:
        with emitting(app, from_environment(brokers).brokers) as client:
            yield client
        return
    try:
        with Keeprate(app) as client:
            yield client
            settle(client, url)
    except FullError as error:
        raise EmitError(f"{url} took nothing for {error.waited_s:.0f} s; run this again: nothing doubles") from error
    except ProducerError as error:
        raise EmitError(str(error)) from error


def settle(client: Keeprate, brokers: str) -> None:
    """Return once a broker has acknowledged everything. Raises EmitError."""
    if left := client.flush(STALLED_S):
        raise EmitError(f"{brokers} has not acknowledged {left} events; run this again: nothing doubles")
    stats = client.stats()
    if stats.lost:
        raise EmitError(f"{stats.lost} events were dropped: {dict(stats.dropped)} {dict(stats.refusals)}".rstrip(" {}"))


class SpeedColumn(ProgressColumn):
    """How many of a task's unit are done in a second."""

    def render(self, task: Task) -> Text:
        """The speed, once there is one."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} {task.fields.get('unit', '')}/s")


def bar() -> Progress:
    """A progress bar on standard error; nothing where that is no terminal. Tasks have a field `unit`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    )
