"""API keys: each bound to one app, shown once, kept as hashes in a file of the data directory.

A key is `kr_<id>_<secret>` with 256 random bits, so one round of SHA-256 hides it: there is nothing to guess, and a
slow hash would only cost every request.
"""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

FILE_NAME: Final = "collector-keys.json"
_PREFIX: Final = "kr"
_RELOAD_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is kept. `hash` is the SHA-256 of the whole key; a revoked key stays listed."""

    id: str
    app: str
    label: str
    hash: str
    created_at: str
    revoked_at: str | None = None


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

    def create(self, app: str, label: str = "") -> tuple[Key, str]:
        """Add a key. Returns it with its text, which is not kept anywhere."""
        identity, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        text = f"{_PREFIX}_{identity}_{secret}"
        key = Key(identity, app, label, _hash(text), _now())
        with self._locked() as document:
            document["keys"].append(asdict(key))
        return key, text

    def list(self) -> list[Key]:
        """Every key ever made, oldest first."""
        return [Key(**entry) for entry in _read(self._path)["keys"]]

    def revoke(self, identity: str) -> Key:
        """Refuse a key from now on. Raises UnknownKeyError; a key that was revoked before stays as it was."""
        with self._locked() as document:
            for entry in document["keys"]:
                if entry["id"] == identity:
                    entry["revoked_at"] = entry["revoked_at"] or _now()
                    return Key(**entry)
        raise UnknownKeyError(identity)

    def find(self, text: str) -> Key | None:
        """The key of a text that a client sent, None when there is none or it was revoked."""
        now = time.monotonic()
        if now - self._checked_at > _RELOAD_S:
            self._checked_at = now
            self._reload()
        return self._by_hash.get(_hash(text))

    def salt(self) -> bytes:
        """What the ids of users are hashed with: made once, kept with the keys."""
        with self._locked() as document:
            return bytes.fromhex(document["salt"])

    def _reload(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._by_hash = {}
            return
        stamp = status.st_mtime_ns, status.st_ino
        if stamp != self._stamp:
            self._stamp = stamp
            self._by_hash = {key.hash: key for key in self.list() if key.revoked_at is None}

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


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"version": 1, "salt": secrets.token_hex(32), "keys": []}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
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
