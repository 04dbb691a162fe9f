"""The access to Kafka in the words of aiokafka, through which Faust fetches. librdkafka's are in schemas/access."""

import asyncio
import ssl
import time
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

from keeprate.schemas.access.brokers import OAUTH, Brokers, KafkaAccess, Token

_RENEW_BEFORE_S: Final = 30.0


def credentials(brokers: str) -> Any:
    """What Faust calls `broker_credentials`; None for brokers that let everybody in."""
    if not isinstance(brokers, Brokers):
        return None
    access = brokers.access
    context = _context(access) if access.tls else None
    if access.sasl is None:
        return SSLCredentials(context) if context is not None else None
    if access.sasl == OAUTH:
        assert brokers.token is not None
        return OAuthCredentials(oauth_cb=_Tokens(brokers.token), ssl_context=context)
    assert access.password is not None
    secret = access.password.get_secret_value()
    return SASLCredentials(username=access.username, password=secret, ssl_context=context, mechanism=access.sasl)


def _context(access: KafkaAccess) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=access.ca_file)
    context.check_hostname = access.check_hostname
    if access.certificate_file is not None:
        password = access.key_password.get_secret_value() if access.key_password else None
        context.load_cert_chain(access.certificate_file, access.key_file, password)
    return context


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """A token for each connection that is made; one that lasts is given again."""

    def __init__(self, source: Token) -> None:
        self._source = source
        self._last: tuple[str, float] = ("", 0.0)

    async def token(self) -> str:
        if time.time() > self._last[1] - _RENEW_BEFORE_S:
            # It may wait for an identity provider, and the event loop must not.
            self._last = await asyncio.to_thread(self._source)
        return self._last[0]
