"""Keeps the names of generations that other collectors took, or this one before it was restarted.

An app that OpenTelemetry instruments knows its trace and the provider's response id, and rarely the id of the span.
Which generation those stand for is in Kafka already: each generation carries all three. So a thread reads the topic of
generations from some hours back, and goes on reading.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, TypedDict

import msgspec

from keeprate.producers.collector.otel.identity import Aliases
from keeprate.producers.sending.kafka import open_reader
from keeprate.schemas.topics import GENERATIONS

log = logging.getLogger("keeprate.collector")

_POLL_S: Final = 0.2
_BATCH: Final = 1_000
_RETRY_S: Final = 2.0


class _Named(TypedDict, total=False):
    """What a generation is known by, whatever anybody wrote there; the rest, its texts among it, is not read."""

    app: Any
    generation_id: Any
    trace_id: Any
    external_id: Any
    parent_generation_id: Any
    operation: Any


_NAMES_OF: Final = msgspec.json.Decoder(_Named).decode


class Follower:
    """Reads generations from `hours` back into `aliases`, until closed. Nothing is committed: each start reads anew.

    caught_up is set once everything that was there at the start was read.
    """

    def __init__(self, brokers: str, aliases: Aliases, hours: float, kafka: Mapping[str, Any]) -> None:
        self.caught_up = threading.Event()
        self._brokers = brokers
        self._aliases = aliases
        self._since_ms = int((time.time() - hours * 3600) * 1000)
        self._kafka = kafka
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeprate-collector-follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading and wait for the thread."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        is_told = False
        while not self._closing.is_set():
            try:
                reader = open_reader(self._brokers, GENERATIONS.name, self._since_ms, self._kafka)
            except ConnectionError as error:
                # No broker yet, or no topic: /readyz says so until there is one.
                if not is_told:
                    log.warning("the names of recent generations wait for Kafka at %s: %s", self._brokers, error)
                is_told = True
                self._closing.wait(_RETRY_S)
                continue
            is_told = False
            with reader:
                while not self._closing.is_set():
                    for value in reader.values(_BATCH, _POLL_S):
                        self._read(value)
                    if reader.caught_up:
                        self.caught_up.set()

    def _read(self, value: bytes) -> None:
        try:
            named = _NAMES_OF(value)
        except (ValueError, RecursionError):
            return
        self._aliases.remember_generation(named)
