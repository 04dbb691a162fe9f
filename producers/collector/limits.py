"""How much one client, and all clients together, may make this process do. Time is a parameter."""

from typing import Final

from keeprate.producers.collector.errors import UNAVAILABLE, RequestError

RETRY_AFTER_S: Final = 1


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


class MemoryBudget:
    """The bytes of all bodies that are being read or handled at one moment."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.used_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Reserve bytes. Raises RequestError 503 when there is no room. What was taken must be given back."""
        if self.used_bytes + size_bytes > self._max_bytes:
            reason = "too many bodies are being read; send it again"
            raise RequestError(UNAVAILABLE, "unavailable", reason, retry_after_s=RETRY_AFTER_S, close=True)
        self.used_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Return reserved bytes."""
        self.used_bytes -= size_bytes
