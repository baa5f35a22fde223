"""Which erasures were begun and which are done: the Delta table ``ops/erasures``.

An erasure that was killed is found here and gone on with, under its own id, so that its certificate
counts what it did before. Its end is written in a commit that moves a transaction id of its own:
whoever else finishes the same erasure at the same moment is refused, and reads the one certificate
there is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from lake.erasure.certificate import Certificate
from lake.erasure.offsets import ERASURE
from lake.errors import ErasureError
from lake.tables import Lake, read_rows
from lake.writer.target import Target

logger = logging.getLogger(__name__)

ERASURES: Final = "erasures"
ATTEMPTS: Final = 10

SCHEMA: Final = pa.schema(
    [
        pa.field("erasure_id", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("event", pa.string()),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC")),
        pa.field("versions", pa.string()),
        pa.field("certificate", pa.string()),
    ]
)
"""``event`` is ``begun`` or ``finished``; ``versions`` has each table's version at the begin, and
``certificate`` the certificate, both as JSON."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An erasure that is under way."""

    erasure_id: str
    tenant_id: str
    begun_at: datetime
    versions: Mapping[str, int]
    """Each table's version when it began; what came after may be its own commits."""


class ErasureLedger:
    """The erasures of one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._target = Target(lake, "ops", ERASURES, SCHEMA, ERASURE)

    def certificates(self, tenant_id: str | None = None) -> list[Certificate]:
        """Return the certificates of a tenant, or of all, oldest first."""
        return [
            Certificate.of_document(json.loads(row["certificate"]))
            for row in self._rows()
            if row["event"] == "finished" and tenant_id in (None, row["tenant_id"])
        ]

    def under_way(self, tenant_id: str) -> Begun | None:
        """Return the erasure of a tenant that was begun and has no certificate yet."""
        rows = self._rows()
        finished = {row["erasure_id"] for row in rows if row["event"] == "finished"}
        for row in rows:
            if row["tenant_id"] == tenant_id and row["erasure_id"] not in finished:
                return Begun(
                    row["erasure_id"], tenant_id, row["recorded_at"], json.loads(row["versions"])
                )
        return None

    def begin(self, tenant_id: str, versions: Mapping[str, int], now: datetime) -> Begun:
        """Note that an erasure begins, or return the one of this tenant that is under way."""
        table = self._target.open()
        for _ in range(ATTEMPTS):
            known = self.under_way(tenant_id)
            if known is not None:
                return known
            begun = Begun(uuid4().hex, tenant_id, now, versions)
            row = self._row(begun, "begun", now, versions=json.dumps(dict(versions)))
            if self._append(table, row, f"begin:{tenant_id}"):
                return begun
            table = self._target.open()
        raise ErasureError(
            f"others keep beginning erasures of {tenant_id!r}", hint="Run it again, once."
        )

    def finish(self, begun: Begun, certificate: Certificate) -> Certificate:
        """Write the certificate; return it, or the one that another has written meanwhile."""
        table = self._target.open()
        row = self._row(begun, "finished", certificate.finished_at, certificate.as_json())
        fence = f"finish:{begun.erasure_id}"
        if table.transaction_version(fence) is None and self._append(table, row, fence):
            return certificate
        for written in self.certificates(begun.tenant_id):
            if written.erasure_id == begun.erasure_id:
                return written
        raise ErasureError(
            f"the certificate of erasure {begun.erasure_id} could not be written",
            hint="Run the erasure again: what it did stays done.",
        )

    def _append(self, table: DeltaTable, row: Mapping[str, Any], fence: str) -> bool:
        """Append a row; False when somebody else moved the same fence first."""
        moved = table.transaction_version(fence)
        try:
            write_deltalake(
                table,
                pa.Table.from_pylist([dict(row)], schema=SCHEMA),
                mode="append",
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(fence, 0 if moved is None else moved + 1)]
                ),
            )
        except CommitFailedError:
            logger.info("erasure_noted_by_another", extra={"fence": fence})
            return False
        return True

    def _row(
        self,
        begun: Begun,
        event: str,
        now: datetime,
        certificate: str | None = None,
        versions: str | None = None,
    ) -> dict[str, Any]:
        return {
            "erasure_id": begun.erasure_id,
            "tenant_id": begun.tenant_id,
            "event": event,
            "recorded_at": now,
            "versions": versions,
            "certificate": certificate,
        }

    def _rows(self) -> list[dict[str, Any]]:
        if not self._lake.exists("ops", ERASURES):
            return []
        rows: Iterable[dict[str, Any]] = (
            read_rows(self._lake.open("ops", ERASURES)).cast(SCHEMA).to_pylist()
        )
        return sorted(rows, key=lambda row: row["recorded_at"])
