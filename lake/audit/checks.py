"""What the audit asks of a source; each answer that is no is a finding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lake.audit.evidence import Evidence
from lake.audit.partition import Finding
from lake.audit.spans import count, disjoint, minus
from lake.audit.tally import per_range
from lake.tables import DEAD_LETTERS


def findings(of: Evidence) -> Iterator[Finding]:
    """Yield all that is wrong with a source."""
    yield from _chain(of)
    yield from _contents(of)
    yield from _per_range(of)
    yield from _came_back(of)


def _chain(of: Evidence) -> Iterator[Finding]:
    """The ranges follow on each other, from the start up to the stored offset."""
    expected = of.first
    for this in of.ranges:
        if expected is not None and this.first > expected:
            hole = minus((expected, this.first - 1), of.gaps)
            if hole:
                yield of.finding(
                    "gap",
                    count(hole),
                    f"offsets {expected:,} to {this.first - 1:,} were never recorded",
                    [first for first, _ in hole],
                )
        elif expected is not None and this.first < expected:
            yield of.finding(
                "overlap",
                min(expected - 1, this.last) - this.first + 1,
                f"{this.label} recorded offsets from {this.first:,} again",
                [this.first],
            )
        expected = max(this.last + 1, expected or 0)
    end = of.ranges[-1].last if of.ranges else None
    if of.stored != end:
        yield of.finding(
            "position",
            1,
            f"the stored offset is {_or_none(of.stored)}, the recorded ranges end at "
            f"{_or_none(end)}",
        )


def _contents(of: Evidence) -> Iterator[Finding]:
    """Each offset is there once, and none outside of what was recorded."""
    for tally, where in ((of.bronze, of.table), (of.dead, DEAD_LETTERS)):
        if tally.surplus:
            twice = np.flatnonzero(tally.counts > 1) + tally.first
            yield of.finding("doubled", tally.surplus, f"rows too many in {where}", twice)
    both = np.flatnonzero((of.bronze.counts > 0) & (of.dead.counts > 0)) + of.bronze.first
    if len(both):
        yield of.finding("doubled", len(both), f"in {of.table} and in {DEAD_LETTERS}", both)
    strays = of.bronze.strays()
    if len(strays):
        yield of.finding("unexpected", len(strays), "rows outside every recorded range", strays)
    early = of.early
    for first, last in of.gaps:
        early = early[(early < first) | (early > last)]
    if len(early):
        yield of.finding("unexpected", len(early), "dead letters before every range", early)


def _per_range(of: Evidence) -> Iterator[Finding]:
    """Each range holds what was recorded for it; what was erased counts as being where it was."""
    in_bronze = (of.bronze.counts > 0) | of.was_bronze
    in_dead = (of.dead.counts > 0) | of.was_dead
    begin = of.bronze.first
    spans = disjoint(of.ranges)
    edges = [(r.first, r.last) for r in spans]
    rows = per_range(in_bronze, begin, edges)
    dead = per_range(in_dead, begin, edges)
    settled = per_range(in_bronze | in_dead, begin, edges)
    for this, row_count, dead_count, present in zip(spans, rows, dead, settled, strict=True):
        missing = this.messages - int(present)
        if missing > 0:
            inside = slice(this.first - begin, this.last + 1 - begin)
            absent = np.flatnonzero(~(in_bronze | in_dead)[inside]) + this.first
            among = "" if len(absent) == missing else f", among {len(absent):,} absent offsets"
            yield of.finding(
                "lost",
                missing,
                f"messages of {this.label} (offsets {this.first:,} to "
                f"{this.last:,}) are nowhere{among}",
                absent,
            )
        elif missing < 0 and (row_count, row_count + dead_count) != (this.rows, present):
            yield of.finding(
                "unexpected",
                -missing,
                f"{this.label} recorded {this.messages:,} messages (offsets "
                f"{this.first:,} to {this.last:,}), and there are more",
                [this.first],
            )
        elif int(row_count) != this.rows and int(row_count) + int(dead_count) == int(present):
            yield of.finding(
                "unexpected",
                abs(int(row_count) - this.rows),
                f"{this.label} recorded {this.rows:,} rows and {this.dead:,} dead "
                f"letters, and there are {int(row_count):,} and {int(dead_count):,}",
                [this.first],
            )


def _came_back(of: Evidence) -> Iterator[Finding]:
    """Each letter that was replayed is one row, was replayed once, and was a letter."""
    recorded, times = np.unique(of.replays, return_counts=True)
    if not len(recorded):
        return
    rows, row_times = np.unique(of.came_back, return_counts=True)
    gone = np.setdiff1d(np.setdiff1d(recorded, rows), of.erased_rows)
    if len(gone):
        yield of.finding("lost", len(gone), "replayed letters are no rows any more", gone)
    if len(of.came_back) > len(rows):
        yield of.finding(
            "doubled",
            len(of.came_back) - len(rows),
            f"rows too many in {of.table} of letters that were replayed",
            rows[row_times > 1],
        )
    if (times > 1).any():
        again = recorded[times > 1]
        yield of.finding("overlap", len(again), "letters were replayed more than once", again)
    strange = np.setdiff1d(np.setdiff1d(recorded, of.letters), of.erased_letters)
    if len(strange):
        what = "rows are said to be replayed from letters that there are not"
        yield of.finding("unexpected", len(strange), what, strange)


def _or_none(offset: int | None) -> str:
    return "none" if offset is None else f"{offset:,}"
