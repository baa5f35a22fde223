"""Prove the promise: every offset up to the stored one is in the lake exactly once.

The audit reads only the lake. For each source (a partition of one incarnation of a topic) it holds
three things against each other: the stored offset (the Delta transaction id), the ranges and counts
that each commit recorded, and the coordinates of every row in bronze and in the dead letters. It
asks that

- the ranges follow on each other from where the source was first seen up to the stored offset, and
  a hole is one that a person accepted (``ops.journal``);
- in each range there are exactly the rows and dead letters that were recorded, and they account
  for every message that Kafka delivered; an offset that never carried a message (a transaction
  marker, an aborted or a compacted message) was not delivered, and so is no loss;
- no offset is there twice, in bronze, in the dead letters, or in both;
- no row lies outside what was recorded.

Rows that the erasure of a tenant took away are named one by one in ``ops/erased_offsets``, and
count as where they were. A dead letter that was replayed is in both tables, and counts as a row:
the commit that brought the row recorded which letters it replayed, and only such a row may share
its offset with a letter. Compaction moves rows to other files and changes none of this. What
commits recorded is read from the log, and from ``ops/commit_ranges`` where maintenance has folded
it (``lake.commit_ranges``).
"""

from lake.audit.partition import Finding, FindingKind, PartitionAudit
from lake.audit.report import AuditReport
from lake.audit.whole import audit

__all__ = ["AuditReport", "Finding", "FindingKind", "PartitionAudit", "audit"]
