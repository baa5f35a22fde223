"""The daily report: how many dead letters there are, by contract, reason, tenant and outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from lake.dead_letters.reading import LetterReader
from lake.dead_letters.selection import Standing
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.target import WRITER, Target

REPORT: Final = "dead_letter_report"
REPORTED: Final = "report:day"
"""Transaction id of the table: the last day that is in it, in days since 1970."""

SCHEMA: Final = pa.schema(
    [
        pa.field("report_date", pa.date32()),
        pa.field("contract", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("waiting_count", pa.int64()),
        pa.field("failed_count", pa.int64()),
        pa.field("replayed_count", pa.int64()),
        pa.field("new_count", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Line:
    """The letters of one contract, reason and tenant."""

    contract: str
    reason: str
    tenant_id: str | None
    counts: dict[Standing, int]
    new: int
    """Put away by the writer within the day before the report."""

    @property
    def open(self) -> int:
        """Letters that are no rows."""
        return self.counts["waiting"] + self.counts["failed"]


def report(lake: Lake, now: datetime) -> list[Line]:
    """Return the lines of a report, those with most new letters first.

    Raises:
        MissingTableError: no writer has run yet.
    """
    with LetterReader(lake) as reader:
        rows = reader.by_contract(now - timedelta(days=1))
    lines = [
        Line(
            contract,
            reason,
            tenant,
            {"waiting": waiting, "failed": failed, "replayed": replayed},
            new,
        )
        for contract, reason, tenant, waiting, failed, replayed, new in rows
    ]
    return sorted(lines, key=lambda one: (-one.new, -one.open, one.contract, one.reason))


def keep(lake: Lake, lines: Sequence[Line], day: date) -> bool:
    """Append a report to ``ops.dead_letter_report``; False when the day is there already."""
    writer = lake.open("bronze", DEAD_LETTERS).metadata().configuration.get(WRITER, "")
    table = Target(lake, "ops", REPORT, SCHEMA, writer).open()
    number = (day - date(1970, 1, 1)).days
    last = table.transaction_version(REPORTED)
    if last is not None and last >= number:
        return False
    rows: list[dict[str, Any]] = [
        {
            "report_date": day,
            "contract": one.contract,
            "reason": one.reason,
            "tenant_id": one.tenant_id,
            "waiting_count": one.counts["waiting"],
            "failed_count": one.counts["failed"],
            "replayed_count": one.counts["replayed"],
            "new_count": one.new,
        }
        for one in lines
    ]
    try:
        write_deltalake(
            table,
            pa.Table.from_pylist(rows, schema=SCHEMA),
            mode="append",
            commit_properties=CommitProperties(app_transactions=[Transaction(REPORTED, number)]),
        )
    except CommitFailedError:
        return False  # another run of the same day was quicker
    return True
