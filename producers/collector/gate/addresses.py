"""Whose request it is, as far as its address says: the peer's, or the one that a trusted proxy names. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from keeprate.producers.errors import SettingsError

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_ONE_CLIENT_BITS: Final = 64
"""An IPv6 network of this length is one customer's, who can use each of its addresses."""

Network = IPv4Network | IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks such as 10.0.0.0/8, or single addresses. Raises SettingsError."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            raise SettingsError("trusted_proxy", f"{text!r} is no address or network, such as 10.0.0.0/8") from None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ClientAddresses:
    """Who is behind a connection. proxies: whose X-Forwarded-For is believed."""

    proxies: tuple[Network, ...] = ()

    def is_proxy(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self.proxies)

    def client(self, peer: str, forwarded: str) -> str:
        """The client's address: of X-Forwarded-For the last that no trusted proxy has, when a trusted proxy sent it."""
        named = [part.strip() for part in forwarded[-1_000:].split(",") if part.strip()]
        address = peer
        while named and self.is_proxy(address):
            address = named.pop()
        return one_client(address)


@lru_cache(4_096)
def one_client(address: str) -> str:
    """An IPv4 address, without a port that a proxy named with it; or of an IPv6 address its network."""
    if address.count(":") == 1:
        address = address.partition(":")[0]
    try:
        parsed = ip_address(address.strip("[]"))
    except ValueError:
        return address[:100]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, _ONE_CLIENT_BITS), strict=False))


def host_of(text: str) -> str:
    """The host in a Host header or an origin, in lower case, without scheme and port; empty when there is none."""
    rest = text.rpartition("://")[2].strip().lower()
    if rest.startswith("["):
        return rest[1:].partition("]")[0]
    return rest.partition(":")[0]
