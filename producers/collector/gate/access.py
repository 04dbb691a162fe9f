"""Who may send: by key, scope, the page's origin, and without keys by being on this machine. Pure, but for the keys.

401     no key, or one that is not taken any more
403     a valid key, and not for this; or a page that has no business here
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from keeprate.producers.collector.errors import FORBIDDEN, RequestError
from keeprate.producers.collector.gate.addresses import LOOPBACK_NAMES, ClientAddresses, host_of
from keeprate.producers.collector.gate.keys import ANY_ORIGIN, Key, Keys

KEYLESS: Final = "keyless"
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. key: None when the collector runs without keys. address: of the client."""

    key: Key | None
    address: str

    @property
    def app(self) -> str | None:
        """The app that the key is bound to; None without keys, and items name their own."""
        return None if self.key is None else self.key.app

    @property
    def tenant(self) -> str:
        """Who shares a turn and a part of memory: an app, whichever of its keys it uses."""
        return KEYLESS if self.key is None else f"app {self.key.app}"

    @property
    def bucket(self) -> str:
        """Whose rate of requests is limited."""
        return KEYLESS if self.key is None else self.key.id


@dataclass(frozen=True, slots=True)
class Access:
    """Decides who may send. keys: None takes whatever is sent from this machine, and from no foreign page."""

    keys: Keys | None
    addresses: ClientAddresses

    def caller(self, request: Request) -> Caller:
        """Who sends a request. Raises RequestError 401 or 403."""
        peer = request.client.host if request.client else ""
        # Nobody's word is taken for it without proxies that are trusted.
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")) if self.addresses.proxies else ""
        address = self.addresses.client(peer, forwarded)
        if self.keys is None:
            _check_local(request)
            return Caller(None, address)
        key = _key(self.keys, request)
        _check_origin(key, request.headers.get("origin"))
        return Caller(key, address)

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may read answers: of what a browser asks before it sends, it says no key."""
        return host_of(origin) in LOOPBACK_NAMES if self.keys is None else self.keys.any_allows(origin)


def check_scope(caller: Caller) -> None:
    """Refuse OTLP with a key that sends what users do: it takes spans and log records of servers."""
    if caller.key is not None and caller.key.scope == "feedback":
        reason = f"the key {caller.key.id} has scope feedback, which is for POST /v1/events; use a key of scope all"
        raise RequestError(FORBIDDEN, "forbidden", reason, field="Authorization")


def _key(keys: Keys, request: Request) -> Key:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    key = keys.find(text) if text else None
    if key is None:
        reason = "send a key of `keeprate keys create` as Authorization: Bearer KEY"
        raise _unauthorized(reason)
    if why := key.refused_since(datetime.now(UTC)):
        raise _unauthorized(f"the key {key.id} {why}; make another: keeprate keys create {key.app}")
    return key


def _unauthorized(reason: str) -> RequestError:
    # The connection ends, so that guesses cost a connection each and what was sent behind them is not read.
    return RequestError(401, "unauthorized", reason, field="Authorization", close=True)


def _check_origin(key: Key, origin: str | None) -> None:
    """A browser says which page sends; a key that is for some pages is for nothing else."""
    if origin is None:
        if key.origins and ANY_ORIGIN not in key.origins:
            reason = f"the key {key.id} is for pages of {', '.join(key.origins)}, and no Origin was sent; make another"
            raise RequestError(FORBIDDEN, "forbidden_origin", reason, field="Origin")
    elif not key.allows(origin):
        command = f"keeprate keys create {key.app} --scope feedback --origin {origin[:_SHOWN]}"
        reason = f"the key {key.id} is not for pages of {origin[:_SHOWN]}; make one that is: {command}"
        raise RequestError(FORBIDDEN, "forbidden_origin", reason, field="Origin")


def _check_local(request: Request) -> None:
    """Without keys every page in a browser of this machine could send, or read by a name that it points here."""
    host = host_of(request.headers.get("host", ""))
    if host not in LOOPBACK_NAMES:
        reason = f"without keys only {', '.join(LOOPBACK_NAMES)} is served, not the host {host[:_SHOWN]!r}; use keys"
        raise RequestError(FORBIDDEN, "forbidden_host", reason, field="Host")
    origin = request.headers.get("origin")
    if origin is None:
        foreign = request.headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
    else:
        foreign = host_of(origin) not in LOOPBACK_NAMES
    if foreign:
        reason = f"without keys no page of {(origin or 'another site')[:_SHOWN]} is served; start without --no-keys"
        raise RequestError(FORBIDDEN, "forbidden_origin", reason, field="Origin")
