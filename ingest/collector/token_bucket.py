"""How many requests a second: a token bucket for each tenant, and one for each of its keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ingest.tenants.model import WriteKey

MOST_BUCKETS: Final = 100_000
"""Buckets that are remembered; beyond it those that are full again are forgotten."""


@dataclass(slots=True)
class TokenBucket:
    """Holds up to ``burst`` tokens and gains ``rate`` a second; a request takes one.

    The algorithm: https://en.wikipedia.org/wiki/Token_bucket
    """

    rate: float
    burst: float
    tokens: float
    at: float

    def refill(self, now: float) -> None:
        """Add what was gained since the last look."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now

    @property
    def seconds_to_next(self) -> float:
        """How long until there is a token; 0 when there is one."""
        return max(0.0, (1.0 - self.tokens) / self.rate) if self.rate > 0 else 3600.0


class RateLimits:
    """The buckets of this process; they follow what the tenant's quota says now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def take(self, key: WriteKey) -> float:
        """Take a token of the tenant and one of the key; return 0, or the seconds to wait.

        Nothing is taken when one of the two has none: who waits does not fall further behind.
        """
        quota, now = key.tenant.quota, self._clock()
        buckets = [
            self._bucket(("tenant", key.tenant.tenant_id), quota.requests_per_second, quota.burst)
        ]
        if quota.key_requests_per_second is not None:
            rate = quota.key_requests_per_second
            burst = max(1.0, min(quota.burst, quota.burst * rate / quota.requests_per_second))
            buckets.append(self._bucket(("key", key.key_id), rate, burst))
        wait = 0.0
        for bucket in buckets:
            bucket.refill(now)
            wait = max(wait, bucket.seconds_to_next)
        if wait == 0.0:
            for bucket in buckets:
                bucket.tokens -= 1.0
        return wait

    def _bucket(self, name: tuple[str, str], rate: float, burst: float) -> TokenBucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._forget_full_ones()
            bucket = self._buckets[name] = TokenBucket(rate, burst, burst, self._clock())
        elif bucket.rate != rate or bucket.burst != burst:
            bucket.rate, bucket.burst = rate, burst
        return bucket

    def _forget_full_ones(self) -> None:
        now = self._clock()
        for name, bucket in list(self._buckets.items()):
            bucket.refill(now)
            if bucket.tokens >= bucket.burst:
                del self._buckets[name]
