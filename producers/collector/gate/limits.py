"""How much one client, and all clients together, may make this process do. Time is a parameter."""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from keeprate.producers.collector.errors import TOO_LARGE, UNAVAILABLE, RequestError
from keeprate.producers.collector.gate.keys import Key

RETRY_AFTER_S: Final = 1
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0
_REMEMBERED: Final = 100_000
"""Buckets, and addresses whose users are known; beyond it the one that was used longest ago is forgotten."""


class RateLimit:
    """A bucket of tokens per key: `rate_per_s` requests a second on average, and twice as many in a burst."""

    def __init__(self, rate_per_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str, now_s: float) -> None:
        """Count one request. Raises RequestError 429 when the bucket is empty. A rate of 0 is no limit."""
        if not self._rate_per_s:
            return
        burst = 2 * self._rate_per_s
        tokens, at_s = self._buckets.get(key, (burst, now_s))
        tokens = min(burst, tokens + (now_s - at_s) * self._rate_per_s)
        if tokens < 1:
            self._buckets[key] = (tokens, now_s)
            reason = f"more than {self._rate_per_s:g} requests a second; send larger batches"
            raise RequestError(429, "rate_limited", reason, retry_after_s=RETRY_AFTER_S)
        self._buckets[key] = (tokens - 1, now_s)


class Spending:
    """What keys have spent of their quotas. A request is taken whole or not at all.

    A quota of N is a bucket that holds N and fills up once in its span, so that nobody waits for midnight.
    """

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str, str], tuple[float, float]] = OrderedDict()
        self._users: OrderedDict[tuple[str, str], tuple[float, set[str]]] = OrderedDict()

    def take_bytes(self, key: Key, size_bytes: int, now_s: float) -> None:
        """Count the bytes of a body. Raises RequestError 429, or 413 when it is more than the whole quota."""
        if (most := key.quotas.bytes_per_day) is not None:
            self._take([_Quota("bytes_per_day", most, "", _DAY_S)], key, size_bytes, now_s)

    def take_events(self, key: Key, address: str, count: int, users: Set[str], now_s: float) -> None:
        """Count events of a client's address, and the users they speak for. Raises RequestError as above."""
        quotas = key.quotas
        self._check_users(key, address, users, now_s)
        wanted = []
        if quotas.events_per_minute is not None:
            wanted.append(_Quota("events_per_minute", quotas.events_per_minute, "", _MINUTE_S))
        if quotas.events_per_day is not None:
            wanted.append(_Quota("events_per_day", quotas.events_per_day, "", _DAY_S))
        if quotas.events_per_address is not None:
            wanted.append(_Quota("events_per_address", quotas.events_per_address, address, _MINUTE_S))
        self._take(wanted, key, count, now_s)
        if quotas.users_per_address is not None:
            self._users[key.id, address][1].update(users)

    def _take(self, quotas: Sequence["_Quota"], key: Key, amount: int, now_s: float) -> None:
        levels = {}
        for quota in quotas:
            name = (quota.name, key.id, quota.address)
            tokens, at_s = self._buckets.get(name, (float(quota.most), now_s))
            tokens = min(quota.most, tokens + (now_s - at_s) * quota.most / quota.span_s)
            if tokens < amount:
                wait_s = (amount - tokens) * quota.span_s / quota.most if amount <= quota.most else 0
                raise _spent(quota.name, quota.most, math.ceil(wait_s))
            levels[name] = (tokens - amount, now_s)
        for name, level in levels.items():
            self._buckets[name] = level
            self._buckets.move_to_end(name)
        while len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)

    def _check_users(self, key: Key, address: str, users: Set[str], now_s: float) -> None:
        most = key.quotas.users_per_address
        if most is None:
            return
        name = (key.id, address)
        since_s, seen = self._users.get(name, (now_s, set()))
        if now_s - since_s >= _HOUR_S:
            since_s, seen = now_s, set()
        if len(seen | users) > most:
            wait_s = since_s + _HOUR_S - now_s if len(users) <= most else 0
            raise _spent("users_per_address", most, math.ceil(wait_s))
        self._users[name] = (since_s, seen)
        self._users.move_to_end(name)
        while len(self._users) > _REMEMBERED:
            self._users.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Quota:
    name: str
    most: int
    address: str
    span_s: float


_SAID: Final = {
    "events_per_minute": "{:,} events a minute with this key",
    "events_per_day": "{:,} events a day with this key",
    "bytes_per_day": "{:,} bytes a day with this key",
    "events_per_address": "{:,} events a minute from one address with this key",
    "users_per_address": "{:,} different users an hour from one address with this key",
}


def _spent(quota: str, most: int, retry_after_s: int) -> RequestError:
    """429 with the time to wait; 413 when waiting does not help, because one request is more than the whole quota."""
    option = f"--{quota.replace('_', '-')}"
    reason = f"more than {_SAID[quota].format(most)} (keeprate keys create {option})"
    if retry_after_s:
        return RequestError(429, quota, f"{reason}: send it again later", retry_after_s=retry_after_s)
    return RequestError(TOO_LARGE, quota, f"{reason}: send smaller batches")


class MemoryBudget:
    """The bytes of all bodies that are being read or handled at one moment, and how many of them one tenant may have.

    share_bytes: of one tenant, so that a tenant with many large bodies leaves room for the others.
    """

    def __init__(self, max_bytes: int, share_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._share_bytes = share_bytes
        self._of: dict[str, int] = {}
        self.used_bytes = 0

    def take(self, tenant: str, size_bytes: int) -> None:
        """Reserve bytes. Raises RequestError 503 when there is no room. What was taken must be given back."""
        held = self._of.get(tenant, 0) + size_bytes
        if self.used_bytes + size_bytes > self._max_bytes or held > self._share_bytes:
            reason = "too many bodies are being read; send it again, in fewer requests at once"
            raise RequestError(UNAVAILABLE, "unavailable", reason, retry_after_s=RETRY_AFTER_S, close=True)
        self.used_bytes += size_bytes
        self._of[tenant] = held

    def give_back(self, tenant: str, size_bytes: int) -> None:
        """Return reserved bytes."""
        self.used_bytes -= size_bytes
        held = self._of.pop(tenant, 0) - size_bytes
        if held > 0:
            self._of[tenant] = held


class TenantTurns:
    """One at a time, and the tenants that wait take turns: whoever sends much waits for itself."""

    def __init__(self) -> None:
        self._busy = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Wait for this tenant's turn and keep it while the block runs."""
        if self._busy:
            await self._wait(tenant)
        self._busy = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, tenant: str) -> None:
        called = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(called)
        try:
            await called
        except asyncio.CancelledError:
            # The turn may have come in the same moment: then it is the next one's.
            if called.done() and not called.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Call the next, the tenant that had no turn for longest first. Still busy then, so that nobody cuts in."""
        while self._waiting:
            tenant, queue = self._waiting.popitem(last=False)
            called = queue.popleft()
            if queue:
                self._waiting[tenant] = queue
            if not called.done():
                called.set_result(None)
                return
        self._busy = False
