"""Take a tenant out: suspend it, wait until every writer knows, erase it, and note it all.

Each step looks whether it was done already, so a run that died is simply run again. A tenant that
is deprovisioned may be deprovisioned again: what has come in since, such as dead letters of its
events that were still in Kafka, is erased, under a certificate of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingest.contracts.model import Contract
from ingest.tenants.registry import Registry
from lake.erasure.certificate import Certificate
from lake.erasure.ledger import ErasureLedger
from lake.erasure.tenant import Progress, erase_tenant
from lake.errors import ErasureError
from lake.settings import LakeSettings
from lake.tables import Lake

logger = logging.getLogger(__name__)

IN_HAND: Final = timedelta(seconds=5)
"""How long a writer may still commit what it had decoded when it learned of a suspension, beside
the time that it gathers messages."""


class Deprovisioning:
    """Takes tenants out of one lake and its registry."""

    def __init__(
        self,
        registry: Registry,
        lake: Lake,
        settings: LakeSettings,
        contracts: Iterable[Contract],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry = registry
        self._lake = lake
        self._settings = settings
        self._contracts = tuple(contracts)
        self._now = now
        self._sleep = sleep

    @property
    def _dev(self) -> Lake | None:
        folder = self._settings.home.resolve() / "dev" / "lake"
        return Lake(str(folder)) if folder.is_dir() else None

    def run(
        self,
        tenant_id: str,
        *,
        who: str,
        on_wait: Callable[[float], None] = lambda seconds: None,  # noqa: ARG005
        on_progress: Progress = lambda table, done, total: None,  # noqa: ARG005
    ) -> Certificate:
        """Deprovision a tenant; return the newest certificate.

        Args:
            tenant_id: who.
            who: the audit log names.
            on_wait: told for how many seconds writers are waited for.
            on_progress: as of ``erase_tenant``.

        Raises:
            TenantError: there is no such tenant.
            ErasureError: the writers would go on taking its events, or it cannot be erased.
            LakePathError: there is no lake.
        """
        named = self._settings.tenants
        if named is not None and tenant_id in {name.strip() for name in named.split(",")}:
            raise ErasureError(
                f"LAKEWARD_TENANTS names {tenant_id}, so writers take its events whatever the "
                "registry says",
                hint="Take it out of LAKEWARD_TENANTS, restart the writers, and run this again.",
            )
        status = self._registry.tenant(tenant_id).tenant.status
        if status == "active":
            self._registry.suspend(tenant_id, who=who, reason="it is to be deprovisioned")
        if status in ("active", "suspended"):
            self._wait(tenant_id, on_wait)
        certificate = self._erase(tenant_id, on_progress)
        if status != "deprovisioned":
            self._registry.deprovision(tenant_id, self._document(tenant_id), who)
        return certificate

    def sweep(self) -> list[Certificate]:
        """Erase what came in of tenants that were deprovisioned; return the new certificates.

        Raises:
            ErasureError: a table cannot be erased from.
            LakePathError: there is no lake.
        """
        fresh = []
        for record in self._registry.tenants():
            tenant_id = record.tenant.tenant_id
            if record.tenant.status == "deprovisioned":
                known = {c.erasure_id for c in ErasureLedger(self._lake).certificates(tenant_id)}
                certificate = self._erase(tenant_id, lambda table, done, total: None)  # noqa: ARG005
                if certificate.erasure_id not in known:
                    fresh.append(certificate)
        return fresh

    def _erase(self, tenant_id: str, on_progress: Progress) -> Certificate:
        return erase_tenant(
            self._lake,
            tenant_id,
            self._contracts,
            dev=self._dev,
            now=self._now,
            on_progress=on_progress,
        )

    def _wait(self, tenant_id: str, on_wait: Callable[[float], None]) -> None:
        """Wait until a writer that runs has looked into the registry and committed what it had."""
        gathered = timedelta(seconds=self._settings.flush_seconds)
        known = timedelta(seconds=self._settings.rules_seconds) + gathered + IN_HAND
        moments = [e.at for e in self._registry.log(tenant_id) if e.action == "suspend"]
        left = (max(moments, default=self._now()) + known - self._now()).total_seconds()
        if left > 0:
            on_wait(left)
            self._sleep(left)

    def _document(self, tenant_id: str) -> dict[str, Any]:
        """Return the newest certificate, with those before it: one a round of what came late."""
        *earlier, newest = ErasureLedger(self._lake).certificates(tenant_id)
        document = newest.as_document()
        if earlier:
            document["earlier"] = [one.as_document() for one in earlier]
        return document
