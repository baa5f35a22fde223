"""Who may send, kept in the process: a lookup asks no database.

A thread of its own reads the registry again every ``refresh_seconds``, so that what is known is
never older than that and the time of one reading, whether or not anybody looks something up. While
the registry cannot be reached, what is known stays in force: no event is refused for a hiccup, and
a tenant that was suspended stays so. What is changed in that time is learned when the registry is
back; ``age_seconds`` says for how long it has been away, and the log says so when it begins, every
half a minute, and when it ends.

What is known gets older meanwhile, and a key that was revoked is still among it. Who lets clients
in sets an end to that, and asks ``is_too_old`` before trusting it (ADR 083).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol, Self

from ingest.errors import RegistryError
from ingest.tenants.model import Tenant, WriteKey
from ingest.tenants.secret import NOBODYS, key_id_of
from ingest.tenants.snapshot import Snapshot

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 2.0
SAY_AGAIN_SECONDS: Final = 30.0


class Read(Protocol):
    """Reads the registry; returns ``known`` itself when nothing has changed since."""

    def __call__(self, known: Snapshot | None) -> Snapshot:
        """Return the registry as it is now.

        Raises:
            RegistryError: it cannot be read.
        """
        ...


class TenantDirectory:
    """Tenants and write keys, looked up without a query. Safe to use from any thread."""

    def __init__(
        self,
        read: Read,
        *,
        refresh_seconds: float | None = REFRESH_SECONDS,
        max_age_seconds: float = math.inf,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the registry for the first time.

        Args:
            read: reads the registry.
            refresh_seconds: how often it is read again; None: only by ``reload``.
            max_age_seconds: how old what is known may be before it ``is_too_old``.
            now: the moment that ends keys.
            clock: seconds that only grow.

        Raises:
            RegistryError: it cannot be read; nobody is known yet, so nobody can be let in.
        """
        self._read = read
        self._max_age_seconds = max_age_seconds
        self._now = now
        self._clock = clock
        self._reading = threading.Lock()
        self._closed = threading.Event()
        self._said_at: float | None = None
        self._fresh_at = clock()
        self._snapshot = read(None)
        self._known = self._snapshot.known_tenants()
        self._thread: threading.Thread | None = None
        if refresh_seconds is not None:
            self._thread = threading.Thread(
                target=self._refresh, args=(refresh_seconds,), name="tenants", daemon=True
            )
            self._thread.start()

    def authenticate(self, secret: str) -> WriteKey | None:
        """Return the key that ``secret`` is, in a time that tells nothing of another.

        None for a secret that is wrong, revoked or has ended. The key of a tenant that is not
        active is returned as well: ask ``WriteKey.may_send`` before taking anything, so that the
        client can be told why it is refused.
        """
        key_id = key_id_of(secret)
        stored = None if key_id is None else self._snapshot.keys.get(key_id)
        fits = (NOBODYS if stored is None else stored.hash).fits(secret)
        if stored is None or not fits:
            return None
        # the clock is asked only for the few keys that end
        is_valid = stored.expires_at is None or stored.is_valid(self._now())
        return stored.key if is_valid else None

    def tenant(self, tenant_id: str) -> Tenant | None:
        """Return a tenant, whatever its status; None when there is none of this id."""
        return self._snapshot.tenants.get(tenant_id)

    def known_tenants(self) -> frozenset[str] | None:
        """Return the ids whose events are taken: of the tenants that are active.

        None when no tenant was ever registered: then every tenant is known. The same object is
        returned until it changes.
        """
        return self._known

    @property
    def age_seconds(self) -> float:
        """How long ago the registry was last read, or found to be unchanged."""
        return self._clock() - self._fresh_at

    @property
    def is_too_old(self) -> bool:
        """True when the registry has been away for so long that what is known should not be used.

        ``authenticate`` and ``known_tenants`` answer all the same: whoever asks them decides.
        """
        return self._clock() - self._fresh_at > self._max_age_seconds

    def reload(self) -> None:
        """Read the registry now.

        Raises:
            RegistryError: it cannot be read; what was known stays in force.
        """
        with self._reading:
            began = self._clock()
            found = self._read(self._snapshot)
            if not found.tenants and self._snapshot.tenants:
                raise RegistryError(
                    f"the registry of {len(self._snapshot.tenants)} tenants is gone or empty",
                    hint="Tenants are never deleted, so somebody moved it: bring it back. Until "
                    "then those that are known stay in force.",
                )
            if found is not self._snapshot:
                self._take(found)
            self._fresh_at = began
            if self._said_at is not None:
                self._said_at = None
                logger.info("tenant_registry_back", extra={"revision": found.revision})

    def close(self) -> None:
        """Stop reading; what is known can still be looked up."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, found: Snapshot) -> None:
        self._snapshot = found
        known = found.known_tenants()
        if known != self._known:
            self._known = known

    def _refresh(self, seconds: float) -> None:
        while not self._closed.wait(seconds):
            try:
                self.reload()
            except RegistryError as error:
                self._say_away(error)
            except Exception:
                logger.exception("tenant_registry_not_read")

    def _say_away(self, error: RegistryError) -> None:
        now = self._clock()
        if self._said_at is None or now - self._said_at >= SAY_AGAIN_SECONDS:
            self._said_at = now
            logger.log(
                logging.ERROR if self.is_too_old else logging.WARNING,
                "tenant_registry_away",
                extra={
                    "why": error.message,
                    "age_seconds": round(self.age_seconds, 1),
                    "is_too_old": self.is_too_old,
                },
            )
