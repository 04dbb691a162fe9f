"""Where things are by default: one place for the ports, directories and environment variables of a local stack."""

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from keeprate.sinks.store.local_store import data_dir

HOST = "127.0.0.1"
BROKER_PORT = 9092
STORE_PORT = 8123
PAGE_PORT = 8770
MONITOR_PORT = 9469
PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093
RUNBOOK_URL = f"http://{HOST}:{PAGE_PORT}/runbook"
"""Where alerts lead by default, as rules.yml has it: the page of this machine."""


@dataclass(frozen=True)
class Settings:
    """What a command needs to reach the rest.

    brokers: Kafka's bootstrap servers, `KEEPRATE_BROKERS`.
    store_url: ClickHouse over HTTP, a server's or that of `keeprate store`, `KEEPRATE_STORE_URL`.
    data_dir: what survives a restart of the local stack, `KEEPRATE_DATA_DIR`.
    cache_dir: what can be fetched again, `KEEPRATE_CACHE_DIR`.
    """

    brokers: str
    store_url: str
    data_dir: Path
    cache_dir: Path


def from_environment() -> Settings:
    """The environment's settings, with the local stack's as defaults."""
    env = os.environ
    return Settings(
        brokers=env.get("KEEPRATE_BROKERS", f"{HOST}:{BROKER_PORT}"),
        store_url=env.get("KEEPRATE_STORE_URL", f"http://{HOST}:{STORE_PORT}/keeprate"),
        data_dir=data_dir(),
        cache_dir=Path(env.get("KEEPRATE_CACHE_DIR") or user_cache_path("keeprate")),
    )
