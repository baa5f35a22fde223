"""Which files of a partition are worth merging.

A file is rewritten only when the smaller ones beside it weigh at least half as much. So a partition
that grows by small commits is merged often and cheaply, and each byte is written again a number of
times that grows with the logarithm of the partition's size, not with the number of runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

FEWEST: Final = 8
"""Fewer small files than this are left alone."""

WEIGHT: Final = 2
"""A file joins a group that weighs at least this fraction of it (2: half)."""


@dataclass(frozen=True, slots=True)
class File:
    """A data file, as far as planning needs it."""

    path: str
    size: int


def groups(files: Iterable[File], target_size: int, fewest: int = FEWEST) -> list[tuple[File, ...]]:
    """Return the groups to merge, each into one file of about ``target_size`` bytes at most.

    Args:
        files: all files of one partition.
        target_size: bytes; a file of three quarters of it is large enough to be left alone.
        fewest: the least number of files that make a group, unless they fill a large file.
    """
    large = target_size * 3 // 4
    small = sorted(
        (file for file in files if file.size < large), key=lambda file: (file.size, file.path)
    )
    found: list[tuple[File, ...]] = []
    begin = 0
    while begin < len(small):
        end, total = _end_of_group(small, begin, target_size, fewest)
        if end - begin >= fewest or (end - begin >= 2 and total >= large):
            found.append(tuple(small[begin:end]))
        begin = end
    return found


def _end_of_group(
    small: Sequence[File], begin: int, target_size: int, fewest: int
) -> tuple[int, int]:
    """Return the index after the last file of the group beginning at ``begin``, and its bytes."""
    total, end = small[begin].size, begin + 1
    while end < len(small):
        size = small[end].size
        if total + size > target_size:
            break
        if end - begin >= fewest - 1 and size > total * WEIGHT:
            break
        total += size
        end += 1
    return end, total
