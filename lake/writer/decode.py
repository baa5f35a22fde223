"""From the bytes of a batch of messages to bronze rows and dead letters.

Good messages are decoded together in DuckDB and never become Python objects. What that is not
sure of (a field that does not fit, a member the contract does not know, broken bytes, odd
numbers) is decoded one by one in Python, which defines what is right.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from ingest.contracts.exact import ExactDecoder, Reject, Row
from ingest.contracts.model import Contract
from lake.schema import UTC_MICROSECONDS, decoded_dead_letter_schema, decoded_schema
from lake.writer.bulk import BulkDecoder, BulkRows
from lake.writer.messages import Decoded, Headers, Messages

__all__ = ["Decoded", "Decoder", "Messages"]

logger = logging.getLogger(__name__)

_FIRST_ATTEMPT: Final = 1


class Decoder:
    """Decodes the messages of one contract; for use by one thread at a time.

    Args:
        contract: what the messages should be.
        known_tenants: a message of another tenant is a dead letter; None takes every tenant.
        threads: how many threads DuckDB may use.
    """

    def __init__(
        self, contract: Contract, known_tenants: frozenset[str] | None, threads: int = 1
    ) -> None:
        self.contract = contract
        self._exact = ExactDecoder(contract, known_tenants)
        self._bulk = BulkDecoder(contract, known_tenants, threads)
        self._row_schema = decoded_schema(contract)
        self._dead_schema = decoded_dead_letter_schema()

    def decode(self, messages: Messages) -> Decoded:
        """Put each message into exactly one of rows and dead letters, whatever its bytes.

        Rows that needed the exact way come after the others; within both, poll order holds.
        """
        bulk = self._decode_in_bulk(messages.value)
        good: list[Row] = []
        good_at: list[int] = []
        rejects: list[Reject] = []
        rejects_at: list[int] = []
        doubtful = np.flatnonzero(~bulk.sure)
        for at, payload in zip(
            doubtful.tolist(), messages.value.take(pa.array(doubtful)), strict=True
        ):
            result = self._exact.decode(payload.as_py())
            if isinstance(result, Row):
                good.append(result)
                good_at.append(at)
            else:
                rejects.append(result)
                rejects_at.append(at)
        return Decoded(
            rows=self._rows(messages, bulk, good, good_at),
            dead=self._dead(messages, rejects, rejects_at),
            rescued_fields=bulk.rescued.fields + sum(row.rescued_fields for row in good),
        )

    def close(self) -> None:
        """Give back what the decoder holds."""
        self._bulk.close()

    def _decode_in_bulk(self, payloads: pa.Array) -> BulkRows:
        try:
            return self._bulk.decode(payloads)
        except duckdb.Error as error:
            logger.warning(
                "decoding a batch message by message, which is slow: DuckDB could not",
                extra={
                    "contract": self.contract.name,
                    "messages": len(payloads),
                    "error": type(error).__name__,
                },
            )
            return BulkRows.none_sure(self._bulk.schema, len(payloads))

    def _rows(
        self, messages: Messages, bulk: BulkRows, good: list[Row], good_at: list[int]
    ) -> pa.Table:
        columns = [*bulk.columns, _rescued(bulk)]
        at = None
        if not bulk.sure.all():
            sure_at = np.flatnonzero(bulk.sure)
            at = pa.array(np.concatenate([sure_at, np.array(good_at, np.int64)]))
            sure = pa.array(bulk.sure)
            columns = [column.filter(sure) for column in columns]
        if good:
            exact = zip(*((*row.values, row.rescued) for row in good), strict=True)
            columns = [
                pa.chunked_array([column, _column(values, column.type)])
                for column, values in zip(columns, exact, strict=True)
            ]
        return pa.Table.from_arrays([*columns, *self._trace(messages, at)], schema=self._row_schema)

    def _dead(self, messages: Messages, rejects: list[Reject], rejects_at: list[int]) -> pa.Table:
        at = pa.array(rejects_at, pa.int64())
        count = len(rejects)
        return pa.Table.from_arrays(
            [
                pa.repeat(self.contract.name, count),
                pa.array([reject.tenant_id for reject in rejects], pa.string()),
                pa.array([reject.reason for reject in rejects], pa.string()),
                pa.array([reject.detail for reject in rejects], pa.string()),
                messages.value.take(at).cast(pa.binary()),
                messages.key.take(at).cast(pa.binary()),
                pa.array(headers_texts(messages, rejects_at), pa.string()),
                pa.repeat(pa.scalar(_FIRST_ATTEMPT, pa.int32()), count),
                *self._trace(messages, at),
            ],
            schema=self._dead_schema,
        )

    def _trace(self, messages: Messages, at: pa.Array | None) -> list[pa.Array]:
        """Return the columns that say where the messages at these rows, or all, came from."""
        coordinates = [messages.partition, messages.offset, messages.appended_at]
        if at is not None:
            coordinates = [coordinate.take(at) for coordinate in coordinates]
        count = len(coordinates[0])
        return [
            pa.repeat(messages.topic, count),
            pa.repeat(messages.topic_id, count),
            *coordinates,
            pa.repeat(self.contract.version, count),
        ]


def _rescued(bulk: BulkRows) -> pa.Array:
    if not bulk.rescued.texts:
        return pa.nulls(len(bulk.sure), pa.string())
    number = np.full(len(bulk.sure), -1, np.int64)
    number[bulk.rescued.rows] = np.arange(len(bulk.rescued.rows))
    return pa.array(bulk.rescued.texts, pa.string()).take(pa.array(number, mask=number < 0))


def _column(values: tuple[object, ...], kind: pa.DataType) -> pa.Array:
    if kind == UTC_MICROSECONDS:
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)


def headers_texts(messages: Messages, rows: Sequence[int]) -> list[str | None]:
    """Return the headers of the messages at these rows as dead letters keep them."""
    if messages.headers is None:
        return [None] * len(rows)
    return [_as_json(messages.headers[row]) for row in rows]


def _as_json(headers: Headers | None) -> str | None:
    if headers is None:
        return None
    return json.dumps(
        [
            [name, None if value is None else base64.b64encode(value).decode()]
            for name, value in headers
        ]
    )
