"""Letters as they are read, cut to what goes into one commit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

import pyarrow as pa

LETTERS_A_COMMIT: Final = 20_000
BYTES_A_COMMIT: Final = 32 * 2**20
"""Letters are read until they are so many or so much."""


def gathered(chunks: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield chunks put together to what is worth a commit."""
    waiting: list[pa.Table] = []
    for chunk in chunks:
        waiting.append(chunk)
        rows, size = sum(one.num_rows for one in waiting), sum(one.nbytes for one in waiting)
        if rows >= LETTERS_A_COMMIT or size >= BYTES_A_COMMIT:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def limited(chunks: Iterator[pa.Table], limit: int | None) -> Iterator[pa.Table]:
    """Yield the first ``limit`` letters; None: all."""
    left = sys.maxsize if limit is None else limit
    for chunk in chunks:
        if left <= 0:
            return
        yield chunk.slice(0, left)
        left -= chunk.num_rows


def by_topic(letters: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield runs of letters of one contract and one incarnation of a topic, with the contract."""
    names = list(
        zip(*(letters[n].to_pylist() for n in ("contract", "_topic", "_topic_id")), strict=True)
    )
    at = 0
    for name, run in groupby(names):
        length = len(list(run))
        yield name[0], letters.slice(at, length)
        at += length
