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

    def seconds_until_token(self, now: float) -> float:
        """Refill, and return how long until there is a token; 0 when there is one."""
        self.refill(now)
        if self.tokens >= 1.0:
            return 0.0
        return (1.0 - self.tokens) / self.rate if self.rate > 0 else 3600.0


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
        tenant = self._bucket(
            ("tenant", key.tenant.tenant_id), quota.requests_per_second, quota.burst
        )
        wait = tenant.seconds_until_token(now)
        if quota.key_requests_per_second is None:
            if wait == 0.0:
                tenant.tokens -= 1.0
            return wait
        rate = quota.key_requests_per_second
        burst = max(1.0, min(quota.burst, quota.burst * rate / quota.requests_per_second))
        single = self._bucket(("key", key.key_id), rate, burst)
        wait = max(wait, single.seconds_until_token(now))
        if wait == 0.0:
            tenant.tokens -= 1.0
            single.tokens -= 1.0
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
