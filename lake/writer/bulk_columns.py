"""Looking at Arrow columns through numpy, without a Python object a value."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Rows: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


def single(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return ``column`` as one array, without a copy if it is one chunk."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def true(booleans: pa.Array | pa.ChunkedArray) -> Mask:
    """Return where ``booleans`` is true, null counting as false."""
    filled: Mask = single(booleans).fill_null(False).to_numpy(zero_copy_only=False)
    return filled


def valid(column: pa.Array) -> Mask:
    """Return where ``column`` is not null."""
    return true(column.is_valid()) if column.null_count else np.ones(len(column), np.bool_)


def first_bytes(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the first byte of each text of a string array; 0 for an empty one and for null."""
    _, offsets_buffer, data_buffer = texts.buffers()
    if data_buffer is None or data_buffer.size == 0:
        return np.zeros(len(texts), np.uint8)
    offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset :][: len(texts) + 1]
    data = np.frombuffer(data_buffer, np.uint8)
    first = data[np.minimum(offsets[:-1], len(data) - 1)]
    first[offsets[1:] == offsets[:-1]] = 0
    return first


def lengths(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the bytes of each text of a string or large_string array; 0 for null.

    What lies under a null is taken to be empty, as Arrow's builders and DuckDB leave it.
    """
    wide = pa.types.is_large_string(texts.type)
    offsets = np.frombuffer(texts.buffers()[1], np.int64 if wide else np.int32)
    found: np.ndarray[Any, np.dtype[np.int64]] = np.diff(offsets[texts.offset :][: len(texts) + 1])
    return found


def picked(column: pa.Array, rows: Rows) -> pa.Array:
    """Return the entries of ``column`` at ``rows``."""
    return column.take(pa.array(rows))


def texts_of(payloads: pa.Array) -> pa.Array:
    """Return binary ``payloads`` seen as text, unchecked and not copied."""
    large = pa.types.is_large_binary(payloads.type)
    return payloads.view(pa.large_string() if large else pa.string())
