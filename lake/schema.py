"""The columns of bronze: a contract's own, and the trace of where each row came from."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from ingest.contracts.arrow import payload_schema
from ingest.contracts.model import Contract

RESCUED: Final = "_rescued"
"""JSON object of the members that are no column of the contract or do not fit theirs."""

UTC_MICROSECONDS: Final = pa.timestamp("us", tz="UTC")

COORDINATES: Final = (
    pa.field("_topic", pa.string()),
    pa.field("_topic_id", pa.string()),
    pa.field("_partition", pa.int32()),
    pa.field("_offset", pa.int64()),
    pa.field("_appended_at", UTC_MICROSECONDS),
)
"""Where in Kafka a row came from and when Kafka got it; the first four name one message."""

VERSION: Final = pa.field("_contract_version", pa.string())
"""The version of the contract that decoded the message."""

COMMITTED: Final = (
    pa.field("_committed_at", UTC_MICROSECONDS),
    pa.field("_ingest_date", pa.date32()),
)
"""Known only at the commit; ``_ingest_date`` is the UTC date of ``_committed_at``."""

PARTITION_BY: Final = ("_ingest_date",)
"""The partition columns of every bronze table."""


def _in_table_order() -> tuple[pa.Field, ...]:
    committed_at, ingest_date = COMMITTED
    return (*COORDINATES, committed_at, VERSION, ingest_date)


def _without_committed(schema: pa.Schema) -> pa.Schema:
    known_later = {field.name for field in COMMITTED}
    return pa.schema([field for field in schema if field.name not in known_later])


def bronze_schema(contract: Contract) -> pa.Schema:
    """Return the columns of a contract's bronze table, as the table has them."""
    rescued = pa.field(RESCUED, pa.string())
    return pa.schema([*payload_schema(contract), rescued, *_in_table_order()])


def decoded_schema(contract: Contract) -> pa.Schema:
    """Return the bronze columns that are known before the commit: what decoding makes."""
    return _without_committed(bronze_schema(contract))


def dead_letter_schema() -> pa.Schema:
    """Return the columns of ``bronze.dead_letters``, one table for every contract.

    ``payload`` and ``key`` are the bytes as Kafka had them; ``headers`` is a JSON list of
    ``[name, base64 of the value or null]``; ``attempts`` counts how often decoding was tried.
    """
    return pa.schema(
        [
            pa.field("contract", pa.string()),
            pa.field("tenant_id", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("detail", pa.string()),
            pa.field("payload", pa.binary()),
            pa.field("key", pa.binary()),
            pa.field("headers", pa.string()),
            pa.field("attempts", pa.int32()),
            *_in_table_order(),
        ]
    )


def decoded_dead_letter_schema() -> pa.Schema:
    """Return the dead-letter columns that are known before the commit."""
    return _without_committed(dead_letter_schema())
