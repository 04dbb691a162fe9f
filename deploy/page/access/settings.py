"""How the page is told whom to let in: `KEEPRATE_ACCESS_…`, or `[access]` in the file of settings."""

from functools import cached_property
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from keeprate.deploy.page.access.viewer import Role
from keeprate.producers.collector.gate.addresses import LOOPBACK_NAMES, ClientAddresses, networks
from keeprate.producers.errors import SettingsError

DOORS: Final = ("tokens", "proxy", "oidc")


class AccessSettings(BaseModel):
    """Whom the page lets in; anybody who reaches it by default. Raises ValueError, naming the field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str | None = Field(
        default=None, description="how people are known: tokens, proxy, oidc, with commas; else nobody is asked"
    )
    file: Path | None = Field(default=None, description="who may see what; else page-access.toml in the data directory")
    texts_from: Role = Field(default="viewer", description="the least role that reads texts: viewer, reviewer or admin")
    url: str | None = Field(
        default=None, description="under which browsers reach the page, https://keeprate.example.com"
    )
    proxy_peers: str | None = Field(
        default=None, description="addresses or networks of the proxies that are believed, with commas"
    )
    proxy_header: str = Field(default="x-forwarded-email", description="in which they say who it is")
    proxy_groups_header: str | None = Field(default=None, description="in which they say of which groups, with commas")
    oidc_issuer: str | None = Field(default=None, description="of the provider, as its discovery document has it")
    oidc_client_id: str | None = Field(default=None, description="as which Keeprate is known there")
    oidc_client_secret: SecretStr | None = Field(default=None, description="its secret, where it has one")
    oidc_scope: str = Field(default="openid email profile", description="what to ask for there")
    oidc_name_claim: str = Field(default="email", description="the claim that is somebody's name in the file")
    oidc_groups_claim: str = Field(default="groups", description="the claim that lists their groups")
    session_hours: float = Field(default=12, gt=0, le=24 * 31, description="after which a browser logs in again")
    session_secret: SecretStr | None = Field(
        default=None, description="signs sessions; else one is made in the data directory"
    )

    @cached_property
    def doors(self) -> tuple[str, ...]:
        """How people are known, in the order in which they are asked; empty for not at all."""
        named = {name.strip() for name in (self.by or "").split(",")}
        return tuple(name for name in DOORS if name in named)

    @cached_property
    def peers(self) -> ClientAddresses:
        """The proxies that are believed. Raises SettingsError."""
        return ClientAddresses(networks([part.strip() for part in (self.proxy_peers or "").split(",") if part.strip()]))

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the page by HTTPS alone, so that its cookie is for that alone."""
        return urlsplit(self.url or "").scheme == "https"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problem = self._unknown() or self._proxy_problem() or self._oidc_problem()
        if problem is not None:
            raise ValueError(problem)
        return self

    def _unknown(self) -> str | None:
        strange = {name.strip() for name in (self.by or "").split(",")} - {*DOORS, ""}
        if strange:
            return f"by: {', '.join(sorted(strange))} is no way to know people; choose from {', '.join(DOORS)}"
        parts = urlsplit(self.url or "http://localhost")
        return None if parts.scheme in ("http", "https") and parts.hostname else f"url: {self.url!r} is no http address"

    def _proxy_problem(self) -> str | None:
        try:
            peers = self.peers
        except SettingsError as error:
            return f"proxy_peers: {error.reason}"
        if "proxy" in self.doors and not peers.proxies:
            return "by has proxy, and proxy_peers names none: whoever sends the header would be believed"
        return None

    def _oidc_problem(self) -> str | None:
        if "oidc" not in self.doors:
            return None
        needed = {"oidc_issuer": self.oidc_issuer, "oidc_client_id": self.oidc_client_id, "url": self.url}
        missing = [name for name, value in needed.items() if not value]
        if missing:
            return f"by has oidc, which needs {' and '.join(missing)}"
        issuer = urlsplit(self.oidc_issuer or "")
        if issuer.scheme != "https" and issuer.hostname not in LOOPBACK_NAMES:
            return f"oidc_issuer: {self.oidc_issuer!r} is not https: who is between could log in as anybody"
        return None
