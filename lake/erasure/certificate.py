"""What an erasure did, written once: counts by table, and what it could not reach."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

NOT_REACHED: Final = (
    "Kafka keeps the tenant's messages until the topics' retention ends; they cannot be deleted by "
    "tenant. The writer makes dead letters of those it has not read yet, once the tenant is "
    "suspended, and the next sweep erases these.",
    "The Delta log names the tenant and holds the least and greatest values of files that are gone "
    "until maintenance shortens it (LAKEWARD_LOG_RETENTION_DAYS).",
    "Copies outside of the lake: exports, backups, ledgers of `lakeward generate`, Data Docs, "
    "catalogs built for the tenant, logs.",
)
"""What no certificate can vouch for."""


@dataclass(frozen=True, slots=True)
class TableErased:
    """What was erased from one table."""

    table: str
    """``<layer>.<name>``; of the dev target ``dev:<layer>.<name>``."""
    rows: int
    """Rows of its present version that were the tenant's."""
    files: int
    """Files of its present version that held them; each was rewritten or dropped, and deleted. Of
    a bronze table that took longer than its log goes back, those of the last run."""
    version: int
    """The table's version that was looked through last, and held none."""
    undecided_files: int = 0
    """Files that hold rows of the tenant and that a commit might still bring: what is just being
    written, and dead letters that were compacted within a day. The next sweep deletes them."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The record of one finished erasure."""

    erasure_id: str
    tenant_id: str
    begun_at: datetime
    finished_at: datetime
    tables: tuple[TableErased, ...]
    """Every table that has tenants, those without a row of this one included."""
    without_tenants: tuple[str, ...]
    """Tables without a column ``tenant_id``: not looked into."""
    kept: tuple[str, ...]
    """Tables that have tenants and were left alone: seeds, whose rows come from files."""
    not_reached: tuple[str, ...] = NOT_REACHED

    @property
    def rows(self) -> int:
        """Rows erased from all tables."""
        return sum(table.rows for table in self.tables)

    def as_document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            **asdict(self),
            "begun_at": self.begun_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "rows": self.rows,
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Certificate:
        """Return the certificate that ``as_document`` wrote."""
        return cls(
            erasure_id=document["erasure_id"],
            tenant_id=document["tenant_id"],
            begun_at=datetime.fromisoformat(document["begun_at"]),
            finished_at=datetime.fromisoformat(document["finished_at"]),
            tables=tuple(TableErased(**table) for table in document["tables"]),
            without_tenants=tuple(document["without_tenants"]),
            kept=tuple(document["kept"]),
            not_reached=tuple(document["not_reached"]),
        )

    def as_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self.as_document(), ensure_ascii=False)
