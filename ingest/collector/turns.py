"""Large requests take turns: one in a round of the event loop, and tenant by tenant.

Checking a batch keeps the loop busy for a millisecond and more. Seen without turns: with 64 busy
connections of one tenant, uvloop did not get to accept another one's for nine seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Hands out one turn at a time; who waits is served in the order of its tenant."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By tenant; the first tenant is the next, and goes to the end then."""

    @asynccontextmanager
    async def turn(self, tenant_id: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it while the block runs."""
        if self._is_taken:
            mine = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(tenant_id, deque()).append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._next()
                raise
        self._is_taken = True
        try:
            yield
        finally:
            # not at once: the loop looks at its connections in between
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        while self._waiting:
            tenant_id = next(iter(self._waiting))
            queue = self._waiting.pop(tenant_id)
            first = queue.popleft()
            if queue:
                self._waiting[tenant_id] = queue
            if not first.done():
                first.set_result(None)
                return
        self._is_taken = False
