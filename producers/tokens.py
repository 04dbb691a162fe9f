"""Tokens for OAUTHBEARER: from an identity provider by client credentials, or from a function of the operator's.

Both clients of Kafka ask here, librdkafka and aiokafka, so that one setting serves all processes.
"""

import base64
import importlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final

from keeprate.producers.errors import SettingsError
from keeprate.schemas.access.brokers import KafkaAccess, Token

_TIMEOUT_S: Final = 10.0
# An answer may leave the time out; then a token is asked for again after this.
_DEFAULT_LIFE_S: Final = 300.0


def token_source(access: KafkaAccess) -> Token | None:
    """Where tokens come from; None where none are asked for. Raises SettingsError for a hook that is not there."""
    if access.token_hook is not None:
        return _hook(access.token_hook)
    return (lambda: _granted(access)) if access.token_url is not None else None


def _hook(name: str) -> Token:
    module, _, function = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        reason = f"{name!r} is no module:function that can be imported here: {error}"
        raise SettingsError("KEEPRATE_KAFKA_TOKEN_HOOK", reason) from error

    def token() -> tuple[str, float]:
        value, expires_at_s = found()
        return str(value), float(expires_at_s)

    return token


def _granted(access: KafkaAccess) -> tuple[str, float]:
    """Ask the identity provider (RFC 6749, 4.4). Raises OSError or ValueError, and the client tries again."""
    assert access.token_url is not None
    assert access.password is not None
    form = {"grant_type": "client_credentials"} | ({"scope": access.token_scope} if access.token_scope else {})
    quoted = (urllib.parse.quote(each, safe="") for each in (access.username or "", access.password.get_secret_value()))
    headers = {"Authorization": "Basic " + base64.b64encode(":".join(quoted).encode()).decode()}
    request = urllib.request.Request(access.token_url, urllib.parse.urlencode(form).encode(), headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        said = json.load(answer)
    return str(said["access_token"]), time.time() + float(said.get("expires_in") or _DEFAULT_LIFE_S)
