"""How many bytes of requests are in memory at once, in all and of one tenant.

A request that would go beyond is answered 503 at once, so that overload costs neither memory nor
the other tenants: one may hold at most half.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.5
"""Of the whole, for one tenant."""


class Admission:
    """Counts the bytes of the requests that are being worked on."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_share = max_bytes * SHARE
        self._in_flight = 0
        self._of_tenant: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """Bytes of requests that are being worked on."""
        return self._in_flight

    def admits(self, tenant_id: str, size: int) -> bool:
        """True when a request of ``size`` bytes may be taken now. An empty house takes any."""
        if self._in_flight == 0:
            return True
        of_tenant = self._of_tenant.get(tenant_id, 0)
        return self._in_flight + size <= self._max_bytes and (
            of_tenant == 0 or of_tenant + size <= self._max_share
        )

    def hold(self, tenant_id: str, size: int) -> None:
        """Count a request until it is released."""
        self._in_flight += size
        self._of_tenant[tenant_id] = self._of_tenant.get(tenant_id, 0) + size

    def release(self, tenant_id: str, size: int) -> None:
        """Count a request no more."""
        self._in_flight -= size
        left = self._of_tenant[tenant_id] - size
        if left:
            self._of_tenant[tenant_id] = left
        else:
            del self._of_tenant[tenant_id]
