"""How every process is told: the environment, a file, and what a flag says over both; the local stack's by default.

`KEEPRATE_BROKERS` and `KEEPRATE_<SECTION>_<FIELD>` are the environment. `keeprate --config FILE` (`KEEPRATE_CONFIG`)
names a file of TOML with a table for each section, and for each process one with its options:

    brokers = "kafka-0:9093,kafka-1:9093"
    [kafka]
    tls = true
    [store]
    url = "https://clickhouse:8443/keeprate"
    [sink]
    linger_s = 0.5

What a flag says holds over the environment, and that over the file. A secret may be in a file of its own, which
`KEEPRATE_KAFKA_PASSWORD_FILE` and the like name.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.producers import environment
from keeprate.producers.errors import SettingsError
from keeprate.schemas.access.brokers import Brokers, KafkaAccess
from keeprate.sinks.store.local_store import data_dir
from keeprate.sinks.store.topology import Topology

HOST = "127.0.0.1"
BROKER_PORT = 9092
STORE_PORT = 8123
PAGE_PORT = 8770
MONITOR_PORT = 9469
PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093
ALERTS_PORT = 9096
"""Where the local stack receives its own alerts; 9094 is what Alertmanagers gossip at."""
PAGE_URL = f"http://{HOST}:{PAGE_PORT}"
"""Where alerts show what they are about by default, as rules.yml has it: the page of this machine."""
RUNBOOK_URL = f"{PAGE_URL}/runbook"
"""Where they say what to do."""

CONFIG_VARIABLE: Final = "KEEPRATE_CONFIG"
PROCESSES: Final = ("collector", "monitor", "page", "sink", "worker")
"""Commands whose options the environment and the file may set: `KEEPRATE_SINK_LINGER_S`, `[sink]`."""


class StoreAccess(BaseModel):
    """ClickHouse: where it is, and as whom it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(default=f"http://{HOST}:{STORE_PORT}/keeprate", description="over HTTP or HTTPS")
    user: str | None = Field(default=None, description="of what writes: sink, monitor, migrate, upkeep")
    password: SecretStr | None = Field(default=None, description="its password")
    reader_user: str | None = Field(default=None, description="of what only reads: page, report; else the same user")
    reader_password: SecretStr | None = Field(default=None, description="its password")
    ca_file: Path | None = Field(default=None, description="PEM file of who signs the server's certificate")
    certificate_file: Path | None = Field(default=None, description="PEM file of ours, for a server that asks")
    key_file: Path | None = Field(default=None, description="PEM file of its key")
    shards: str | None = Field(
        default=None,
        description="URLs of the databases that share the rows, with commas between them, in the cluster's order",
    )
    cluster: str | None = Field(default=None, description="the servers' name together, in ClickHouse's remote_servers")
    replicated: bool = Field(default=False, description="whether every table has copies, by Keeper")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.shards or self.replicated) and not self.cluster:
            raise ValueError("shards and copies have a cluster: say its name in KEEPRATE_STORE_CLUSTER")
        urls = self._shard_urls()
        if len({urlsplit(url).path for url in urls}) > 1 or self.url.rstrip("/") in urls or len(set(urls)) < len(urls):
            raise ValueError(
                "each of the shards is another server's, by a database of one name that is not the store's own"
            )
        return self

    def _shard_urls(self) -> tuple[str, ...]:
        return tuple(url.strip() for url in (self.shards or "").split(",") if url.strip())

    def topology(self) -> Topology:
        """The servers, with user, password and certificates in the shards' URLs."""
        return Topology(self.cluster or "", self.replicated, tuple(self.address(url) for url in self._shard_urls()))

    def address(self, url: str | None = None, reads: bool = False) -> str:
        """The URL with user, password and certificates in it, as `connect` takes it. url: instead of ours."""
        parts = urlsplit(url or self.url)
        files = {"ca_cert": self.ca_file, "client_cert": self.certificate_file, "client_cert_key": self.key_file}
        said = urlencode({name: str(path) for name, path in files.items() if path is not None})
        parts = parts._replace(query="&".join(filter(None, (parts.query, said))))
        user, password = self.user, self.password
        if reads and self.reader_user is not None:
            user, password = self.reader_user, self.reader_password
        if user is None or parts.username is not None:
            return parts.geturl()
        secret = quote(password.get_secret_value() if password else "", safe="")
        return parts._replace(netloc=f"{quote(user, safe='')}:{secret}@{parts.netloc}").geturl()


class TopicSettings(BaseModel):
    """How topics are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partitions: int | None = Field(default=None, ge=1, description="of every topic, fixed for life; else 4")
    replication: int = Field(default=1, ge=1, description="copies of each partition; 3 on a cluster")
    min_insync_replicas: int | None = Field(
        default=None,
        ge=1,
        description="copies that must have a record before it is acknowledged; else all but one",
    )


SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "kafka": KafkaAccess,
    "store": StoreAccess,
    "topics": TopicSettings,
    "access": AccessSettings,
}
_WORDS: Final = ("brokers",)


@dataclass(frozen=True)
class Settings:
    """What a command needs to reach the rest.

    brokers: Kafka's bootstrap servers with what it takes to be let in, `KEEPRATE_BROKERS` and `KEEPRATE_KAFKA_…`.
    store_url: ClickHouse over HTTP with user and password, `KEEPRATE_STORE_…`. reader_url: as who may only read.
    topology: the servers that share its rows.
    topics: how topics are made, `KEEPRATE_TOPICS_…`. access: whom the page lets in, `KEEPRATE_ACCESS_…`.
    data_dir: what survives a restart of the local stack, `KEEPRATE_DATA_DIR`.
    cache_dir: what can be fetched again, `KEEPRATE_CACHE_DIR`.
    """

    brokers: Brokers
    store_url: str
    reader_url: str
    topology: Topology
    topics: TopicSettings
    access: AccessSettings
    data_dir: Path
    cache_dir: Path


def from_environment(brokers: str | None = None, store: str | None = None) -> Settings:
    """What file and environment say, with the local stack as default. Raises SettingsError.

    brokers, store: addresses that a flag gave, instead of theirs; users, passwords and certificates stay theirs.
    """
    file = config_file()
    access = environment.section(StoreAccess, "store", file.get("store"))
    addresses = brokers or os.environ.get("KEEPRATE_BROKERS") or file.get("brokers")
    return Settings(
        brokers=environment.brokers(addresses, file.get("kafka")),
        store_url=access.address(store),
        reader_url=access.address(store, reads=True),
        topology=access.topology(),
        topics=environment.section(TopicSettings, "topics", file.get("topics")),
        access=environment.section(AccessSettings, "access", file.get("access")),
        data_dir=data_dir(),
        cache_dir=Path(os.environ.get("KEEPRATE_CACHE_DIR") or user_cache_path("keeprate")),
    )


def config_file() -> Mapping[str, Any]:
    """What the file of settings says; nothing where none is named. Raises SettingsError."""
    path = os.environ.get(CONFIG_VARIABLE)
    return _read(Path(path)) if path else {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(CONFIG_VARIABLE, f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(CONFIG_VARIABLE, f"{path} is not TOML: {error}") from error
    known = (*SECTIONS, *PROCESSES, *_WORDS)
    for name, value in said.items():
        if name not in known or isinstance(value, dict) == (name in _WORDS):
            reason = f"{path}: {name!r} is not known there; it takes {', '.join(known)}"
            raise SettingsError(CONFIG_VARIABLE, reason)
    return said
