"""API keys: each bound to one app and a scope, shown once, kept as hashes in a file of the data directory.

A key is `kr_<id>_<secret>` with 256 random bits, so one round of SHA-256 hides it: there is nothing to guess, and a
slow hash would only cost every request.
"""

import fcntl
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from keeprate.producers.errors import SettingsError

log = logging.getLogger("keeprate.collector")

FILE_NAME: Final = "collector-keys.json"
ANY_ORIGIN: Final = "*"
VERSION: Final = 2
_PREFIX: Final = "kr"
_RELOAD_S: Final = 1.0

Scope = Literal["all", "feedback"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much one key may send; None is no limit. Each process of a collector counts for itself.

    events_per_address: a minute. users_per_address: different users an hour. Both of one client's address, so that a
    key that is published does not let one client speak for many.
    """

    events_per_minute: int | None = None
    events_per_day: int | None = None
    bytes_per_day: int | None = None
    events_per_address: int | None = None
    users_per_address: int | None = None


PUBLISHED: Final = Quotas(events_per_address=600, users_per_address=50)
"""What a key of scope `feedback` may send where nothing else was said: an office behind one address, and no more."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is kept. `hash` is the SHA-256 of the whole key; a revoked key stays listed.

    scope: `all` sends every event of its app; `feedback` what users do with an output, see `scopes`.
    origins: the pages that may use it in a browser, `*` for any; empty for none, and then for servers and apps alone.
    """

    id: str
    app: str
    label: str
    hash: str
    created_at: str
    revoked_at: str | None = None
    scope: Scope = "all"
    origins: tuple[str, ...] = ()
    expires_at: str | None = None
    quotas: Quotas = field(default_factory=Quotas)

    def refused_since(self, now: datetime) -> str | None:
        """Why the key is no longer taken, None while it is."""
        if self.revoked_at is not None:
            return f"was revoked at {self.revoked_at}"
        if self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now:
            return f"expired at {self.expires_at}"
        return None

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may use the key."""
        return origin in self.origins or ANY_ORIGIN in self.origins


class UnknownKeyError(LookupError):
    """No key has this id."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"no key has the id {identity!r}")
        self.identity = identity


class Keys:
    """The keys in a file. Reading follows changes of the file within a second, so a revoked key needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._checked_at = float("-inf")
        self._by_hash: dict[str, Key] = {}
        self._origins: frozenset[str] = frozenset()

    def create(
        self,
        app: str,
        label: str = "",
        *,
        scope: Scope = "all",
        origins: tuple[str, ...] = (),
        expires_at: datetime | None = None,
        quotas: Quotas | None = None,
    ) -> tuple[Key, str]:
        """Add a key. Returns it with its text, which is not kept anywhere."""
        identity, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        text = f"{_PREFIX}_{identity}_{secret}"
        expires = expires_at.isoformat(timespec="seconds") if expires_at else None
        key = Key(identity, app, label, _hash(text), _now(), None, scope, tuple(origins), expires, quotas or Quotas())
        with self._locked() as document:
            document["keys"].append(asdict(key))
        return key, text

    def list(self) -> list[Key]:
        """Every key ever made, oldest first."""
        return [_key(entry) for entry in _read(self._path)["keys"]]

    def revoke(self, identity: str) -> Key:
        """Refuse a key from now on. Raises UnknownKeyError; a key that was revoked before stays as it was."""
        with self._locked() as document:
            for entry in document["keys"]:
                if entry["id"] == identity:
                    entry["revoked_at"] = entry["revoked_at"] or _now()
                    return _key(entry)
        raise UnknownKeyError(identity)

    def find(self, text: str) -> Key | None:
        """The key of a text that a client sent, None when there is none. It may be revoked or have expired."""
        self._follow()
        return self._by_hash.get(_hash(text))

    def any_allows(self, origin: str) -> bool:
        """Whether some key that is not revoked may be used by a page of this origin: a browser asks without one."""
        self._follow()
        return origin in self._origins or ANY_ORIGIN in self._origins

    def salt(self) -> bytes:
        """What the ids of users are hashed with: made once, kept with the keys."""
        with self._locked() as document:
            return bytes.fromhex(document["salt"])

    def _follow(self) -> None:
        now = time.monotonic()
        if now - self._checked_at > _RELOAD_S:
            self._checked_at = now
            self._reload()

    def _reload(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._by_hash, self._origins, self._stamp = {}, frozenset(), None
            return
        stamp = status.st_mtime_ns, status.st_ino
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            keys = self.list()
        except (ValueError, TypeError, LookupError) as error:
            log.error("%s cannot be read, so the keys stay as they were: %s", self._path, error)
            return
        self._by_hash = {key.hash: key for key in keys}
        self._origins = frozenset(origin for key in keys if key.revoked_at is None for origin in key.origins)

    @contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """The document, written back whole when it changed, with no other process between reading and writing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = _read(self._path)
            before = json.dumps(document) if self._path.exists() else ""
            yield document
            if json.dumps(document) != before:
                _write(self._path, document)


def _key(entry: dict[str, Any]) -> Key:
    return Key(**{**entry, "origins": tuple(entry["origins"]), "quotas": Quotas(**entry["quotas"])})


def _read(path: Path) -> dict[str, Any]:
    """The document in the form of `VERSION`, whichever it was written in."""
    if not path.exists():
        return {"version": VERSION, "salt": secrets.token_hex(32), "keys": []}
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError("data_dir", f"{path} is not JSON ({error}); restore it from a copy") from None
    if document["version"] > VERSION:
        reason = f"{path} has version {document['version']}, and this Keeprate knows {VERSION}: upgrade it"
        raise SettingsError("data_dir", reason)
    if document["version"] == 1:
        # These keys sent everything, from any page. They go on, and `keeprate keys list` says what they may.
        document["keys"] = [
            {**entry, "scope": "all", "origins": [ANY_ORIGIN], "expires_at": None, "quotas": asdict(Quotas())}
            for entry in document["keys"]
        ]
        document["version"] = VERSION
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
