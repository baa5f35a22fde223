"""Ranges of offsets, both ends inclusive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lake.commit_ranges import Range

Span = tuple[int, int]


def count(spans: Iterable[Span]) -> int:
    """Return how many offsets ranges without overlaps have."""
    return sum(last - first + 1 for first, last in spans)


def disjoint(ranges: Sequence[Range]) -> list[Range]:
    """Return the ranges that begin after the one before them ends; overlaps are told apart."""
    found: list[Range] = []
    for this in ranges:
        if not found or this.first > found[-1].last:
            found.append(this)
    return found


def united(parts: Iterable[Span]) -> list[Span]:
    """Return ranges of offsets that cover the same and do not overlap, ascending."""
    found: list[Span] = []
    for a, b in sorted(parts):
        if found and a <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(b, found[-1][1])
        else:
            found.append((a, b))
    return found


def minus(whole: Span, parts: Sequence[Span]) -> list[Span]:
    """Return what is left of a range of offsets when others are taken out of it."""
    left = [whole]
    for a, b in parts:
        left = [
            piece
            for first, last in left
            for piece in ((first, min(last, a - 1)), (max(first, b + 1), last))
            if piece[0] <= piece[1]
        ]
    return left
