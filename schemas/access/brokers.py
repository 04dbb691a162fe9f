"""Kafka's addresses together with what it takes to be let in there: TLS, a login, a source of tokens.

`KafkaAccess` is what an operator sets, checked as a whole. `Brokers` is the addresses with an access that goes
along, so every client that is opened by the addresses is opened with it. `security` puts it in librdkafka's words;
aiokafka, through which the worker fetches, has its own in `streams/credentials.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Token = Callable[[], tuple[str, float]]
"""Gives a token, and when it expires in seconds since the epoch. May wait, and may raise."""

OAUTH: Final = "OAUTHBEARER"


class KafkaAccess(BaseModel):
    """What it takes to be let in by the brokers; nothing at all by default. Raises ValueError, naming the field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tls: bool = Field(default=False, description="talk TLS to the brokers")
    ca_file: Path | None = Field(default=None, description="PEM file of who signs the brokers' certificates")
    certificate_file: Path | None = Field(default=None, description="PEM file of our certificate, for brokers that ask")
    key_file: Path | None = Field(default=None, description="PEM file of its key")
    key_password: SecretStr | None = Field(default=None, description="of the key, where it has one")
    check_hostname: bool = Field(default=True, description="whether a broker's certificate must name the broker")
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, description="the login: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    )
    username: str | None = Field(default=None, description="of the login; with token_url the client's id")
    password: SecretStr | None = Field(default=None, description="of the login; with token_url the client's secret")
    token_url: str | None = Field(default=None, description="OAUTHBEARER: where client credentials give a token")
    token_scope: str | None = Field(default=None, description="OAUTHBEARER: the scope to ask for there")
    token_hook: str | None = Field(
        default=None,
        description="OAUTHBEARER: module:function that gives (token, its end in epoch seconds)",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problem = self._tls_problem() or self._login_problem()
        if problem is not None:
            raise ValueError(problem)
        return self

    def _tls_problem(self) -> str | None:
        files = {"ca_file": self.ca_file, "certificate_file": self.certificate_file, "key_file": self.key_file}
        if not self.tls:
            return next((f"{name} is set and tls is not: set tls to true" for name, at in files.items() if at), None)
        if (self.certificate_file is None) != (self.key_file is None):
            return "certificate_file and key_file belong together: set both"
        return None

    def _login_problem(self) -> str | None:
        named = self.username is not None and self.password is not None
        if self.sasl is None:
            given = self.username or self.password or self.token_url or self.token_hook
            return "a login is set, and sasl does not say which kind: set sasl to SCRAM-SHA-512" if given else None
        if self.sasl != OAUTH:
            return None if named else f"{self.sasl} needs username and password: set both"
        if (self.token_url is None) == (self.token_hook is None):
            return "OAUTHBEARER takes its token from token_url or from token_hook: set one of them"
        return None if named or self.token_hook else "token_url needs username and password, the client's id and secret"


NONE: Final = KafkaAccess()


class Brokers(str):
    """Bootstrap servers, and by what clients of theirs are let in.

    A plain str is brokers that let everybody in. Equal when the addresses are: who asks is not part of where.
    """

    access: KafkaAccess
    token: Token | None

    def __new__(cls, addresses: str, access: KafkaAccess = NONE, token: Token | None = None) -> Self:
        made = super().__new__(cls, addresses)
        made.access, made.token = access, token
        return made


def security(brokers: str) -> dict[str, Any]:
    """What librdkafka is to be told beside the addresses; nothing for brokers that let everybody in."""
    if not isinstance(brokers, Brokers) or brokers.access == NONE:
        return {}
    access = brokers.access
    settings: dict[str, Any] = {
        "security.protocol": ("SASL_" if access.sasl else "") + ("SSL" if access.tls else "PLAINTEXT")
    }
    if access.tls:
        settings["ssl.endpoint.identification.algorithm"] = "https" if access.check_hostname else "none"
        named = {"ca": access.ca_file, "certificate": access.certificate_file, "key": access.key_file}
        settings |= {f"ssl.{name}.location": str(path) for name, path in named.items() if path is not None}
        if access.key_password is not None:
            settings["ssl.key.password"] = access.key_password.get_secret_value()
    if access.sasl is not None:
        settings["sasl.mechanism"] = access.sasl
    if access.sasl == OAUTH:
        assert brokers.token is not None
        token = brokers.token
        settings["oauth_cb"] = lambda config: token()
    elif access.sasl is not None and access.password is not None:
        settings |= {"sasl.username": access.username, "sasl.password": access.password.get_secret_value()}
    return settings
