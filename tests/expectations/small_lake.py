"""A small lake of conversions, as the writer and dbt would leave it, made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from lake.increments import Pinned
from lake.schema import bronze_schema, dead_letter_schema
from lake.tables import DEAD_LETTERS, Lake, Layer

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CONTRACTS = load_contracts(None)
CONTRACT: Contract = CONTRACTS.by_name("conversions")
SCHEMA = bronze_schema(CONTRACT)
REJECTED = pa.schema(
    [
        ("contract", pa.string()),
        ("_topic_id", pa.string()),
        ("_partition", pa.int32()),
        ("_offset", pa.int64()),
    ]
)


class SmallLake:
    """Bronze conversions with offsets counted up, and the silver and gold made of them."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(str(folder / "lake"))
        self.docs = folder / "data_docs"
        self.offset = 0

    def conversion(self, key: str, **changed: Any) -> dict[str, Any]:
        """A good bronze row, with ``changed`` members."""
        row: dict[str, Any] = {
            "tenant_id": "acme",
            "conversion_id": key,
            "user_id": "u1",
            "session_id": "s1",
            "occurred_at": NOW - timedelta(hours=1),
            "conversion_type": "token_purchase",
            "amount_usd": Decimal("10.00"),
            "token_symbol": "ACME",
            "payment_method": "ETH",
            "time_to_convert": 60,
            "site_id": "acme-1",
            "_topic": CONTRACT.topic,
            "_topic_id": "t1",
            "_partition": 0,
            "_offset": self.offset,
            "_appended_at": NOW,
            "_committed_at": NOW,
            "_contract_version": CONTRACT.version,
            "_ingest_date": NOW.date(),
        }
        self.offset += 1
        return row | changed

    def write_bronze(self, rows: Sequence[dict[str, Any]]) -> None:
        """Commit rows to bronze."""
        write_deltalake(
            self.lake.uri("bronze", CONTRACT.name),
            pa.Table.from_pylist(list(rows), schema=SCHEMA),
            mode="append",
            partition_by=["_ingest_date"],
        )

    def write_dead(self, count: int) -> None:
        """Commit dead letters of the contract."""
        rows = [
            {"contract": CONTRACT.name, "reason": "not_json", "_offset": n} for n in range(count)
        ]
        write_deltalake(
            self.lake.uri("bronze", DEAD_LETTERS),
            pa.Table.from_pylist(rows, schema=dead_letter_schema()),
            mode="append",
        )

    def write_silver(
        self, rows: Iterable[dict[str, Any]], rejected: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Replace silver, as made of bronze's newest version."""
        fields = [f for f in SCHEMA if f.name not in ("_ingest_date", "_contract_version")]
        extra = [
            pa.field("event_date", pa.date32()),
            pa.field("is_purchase", pa.bool_()),
            pa.field("is_late", pa.bool_()),
            pa.field("is_future", pa.bool_()),
            pa.field("is_date_clamped", pa.bool_()),
        ]
        silver = [
            {
                "event_date": row["occurred_at"].date(),
                "is_purchase": row["conversion_type"] == "token_purchase",
                "is_late": False,
                "is_future": False,
                "is_date_clamped": False,
                **row,
            }
            for row in rows
        ]
        table = pa.Table.from_pylist(silver, schema=pa.schema([*fields, *extra]))
        self.derive("silver", "stg_conversions", table, ("bronze", CONTRACT.name))
        bad = [
            {"contract": CONTRACT.name, **{n: r[n] for n in REJECTED.names[1:]}} for r in rejected
        ]
        self.derive(
            "silver",
            "stg_rejected_events",
            pa.Table.from_pylist(bad, schema=REJECTED),
            ("bronze", CONTRACT.name),
        )

    def write_revenue(self, rows: Sequence[dict[str, Any]]) -> None:
        """Replace gold's revenue, as made of silver's newest version."""
        schema = pa.schema(
            [
                ("tenant_id", pa.string()),
                ("revenue_date", pa.date32()),
                ("purchase_count", pa.int64()),
                ("gross_usd", pa.decimal128(18, 2)),
            ]
        )
        self.derive(
            "gold",
            "fct_revenue_daily",
            pa.Table.from_pylist(list(rows), schema=schema),
            ("silver", "stg_conversions"),
        )

    def derive(
        self, layer: Layer, name: str, data: pa.Table, upstream: tuple[Layer, str]
    ) -> DeltaTable:
        """Write a table with the transaction that says which upstream version it is made of."""
        pinned = Pinned(self.lake, *upstream, self.lake.open(*upstream))
        write_deltalake(
            self.lake.uri(layer, name),
            data,
            mode="overwrite",
            name=f"{layer}.{name}",
            commit_properties=CommitProperties(app_transactions=pinned.progress()),
        )
        return self.lake.open(layer, name)
