"""Who may see what: a file of TOML that whoever runs Keeprate writes, followed while the page runs.

    [[allow]]
    who = "ana@example.com"     # as the provider or the proxy names them
    apps = ["editor"]           # "*" for every app
    role = "reviewer"           # viewer, reviewer or admin

    [[allow]]
    group = "ml-experts"
    apps = ["*"]
    role = "viewer"

    [[allow]]
    token = "sha256:9f86…"      # of a token that `keeprate access token` made; nothing in the file opens anything
    who = "ci"
    apps = ["editor"]
    role = "viewer"
    expires = 2027-12-31

Entries add up: of one app, the highest role holds. A token is `kp_` and 256 random bits, so one round of SHA-256 hides
it: there is nothing to guess.
"""

import hashlib
import json
import logging
import secrets
import time
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from keeprate.deploy.page.access.viewer import ROLES, Role
from keeprate.producers.errors import SettingsError
from keeprate.schemas.kinds import AppName

log = logging.getLogger("keeprate.access")

FILE_NAME: Final = "page-access.toml"
PREFIX: Final = "kp_"
_RELOAD_S: Final = 1.0
_HASH: Final = r"^sha256:[0-9a-f]{64}$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Allowed(BaseModel):
    """One entry: a person, a group or a token, with a role in some apps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    who: Name | None = None
    group: Name | None = None
    token: str | None = Field(default=None, pattern=_HASH)
    apps: Annotated[list[AppName | Annotated[str, StringConstraints(pattern=r"^\*$")]], Field(min_length=1)]
    role: Role
    expires: date | datetime | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.group is not None and (self.who or self.token):
            raise ValueError("group stands alone: give who or token an entry of their own")
        if self.who is None and self.group is None:
            raise ValueError("nobody is named: give who, or group")
        return self

    def holds(self, now: datetime) -> bool:
        """Whether it has not expired. A day without a time is its end, in UTC."""
        if self.expires is None:
            return True
        if isinstance(self.expires, datetime):
            return now < (self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC))
        return now.date() <= self.expires


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    allow: list[Allowed] = []


@dataclass
class People:
    """The entries of the file at a path. A change holds within a second; without the file, nobody may see anything."""

    path: Path
    _stamp: tuple[int, int] | None = None
    _checked_at: float = float("-inf")
    _entries: tuple[Allowed, ...] = field(default=())

    def roles_of(self, who: str, groups: Collection[str], now: datetime) -> dict[str, Role]:
        """The roles by app of a person, whom a provider or a proxy named."""
        own = (each for each in self.entries() if each.token is None)
        return roles(each for each in own if (each.who == who or each.group in groups) and each.holds(now))

    def of_token(self, known: str, now: datetime) -> tuple[str, dict[str, Role]] | None:
        """Whose the token with this hash is, and its roles by app; None for one that is unknown or has expired."""
        found = [each for each in self.entries() if each.token == known and each.holds(now)]
        return (found[0].who or "", roles(found)) if found else None

    def entries(self) -> tuple[Allowed, ...]:
        """Those of the file as it is. One that cannot be read leaves them as they were, which is logged."""
        now_s = time.monotonic()
        if now_s - self._checked_at > _RELOAD_S:
            self._checked_at = now_s
            self._reload()
        return self._entries

    def _reload(self) -> None:
        try:
            status = self.path.stat()
        except OSError:
            self._entries, self._stamp = (), None
            return
        stamp = status.st_mtime_ns, status.st_ino
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._entries = read(self.path)
        except SettingsError as error:
            log.error("who may see what stays as it was: %s", error)


def roles(entries: Iterable[Allowed]) -> dict[str, Role]:
    """The highest role of each app."""
    found: dict[str, Role] = {}
    for each in entries:
        for app in each.apps:
            found[app] = max(found.get(app, each.role), each.role, key=ROLES.index)
    return found


def read(path: Path) -> tuple[Allowed, ...]:
    """The entries of a file; none of one that is not there. Raises SettingsError, naming the entry and its field."""
    try:
        said: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return tuple(_File.model_validate(said).allow)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingsError("access_file", f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = " ".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        raise SettingsError("access_file", f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    except ValueError as error:
        raise SettingsError("access_file", f"{path} is not TOML: {error}") from None


def add_token(path: Path, who: str, apps: list[str], role: Role, expires: date | None) -> str:
    """Make a token, append its entry to the file, and return it: it is not kept anywhere. Raises SettingsError.

    The file is made for its user alone where there is none. Raises ValueError for a name that no entry may have.
    """
    read(path)
    text = PREFIX + secrets.token_urlsafe(32)
    entry = Allowed(who=who, token=hashed(text), apps=apps, role=role, expires=expires)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write(_toml(entry))
    return text


def hashed(text: str) -> str:
    """A token as the file has it."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _toml(entry: Allowed) -> str:
    """An entry as text. A name has no control characters, and is in TOML what it is in JSON."""
    lines = [
        f'token = "{entry.token}"',
        f"who = {json.dumps(entry.who, ensure_ascii=False)}",
        f"apps = {json.dumps(entry.apps)}",
    ]
    lines += [f'role = "{entry.role}"', *([f"expires = {entry.expires.isoformat()}"] if entry.expires else [])]
    return "\n[[allow]]\n" + "\n".join(lines) + "\n"


def is_open_to_others(path: Path) -> bool:
    """Whether another user of the machine may change the file, and so let in whom they like."""
    return bool(path.stat().st_mode & 0o022)
