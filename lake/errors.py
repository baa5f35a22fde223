"""What can go wrong for a user of ``lake``, as a tree.

LakewardError
└── LakeError
    ├── LakePathError          the lake root cannot be read or written
    ├── ForeignTableError      a table at this path was not made by lakeward
    ├── SchemaConflictError    a table's column has another type than its contract says
    ├── MissingTableError      a table that a command needs is not there yet
    ├── OffsetGapError         Kafka no longer has the offsets that come next
    ├── DeadLetterLimitError   too large a share of messages are dead letters
    ├── CommitError            a commit failed and retrying did not help
    ├── UnknownLetterError     no dead letter has this address
    ├── MendingFileError       something in a mending file is wrong
    ├── ReplayError            a replay is not allowed, or cannot begin
    ├── MetricsAddressError    nobody can listen where metrics are to be served
    ├── ErasureError           a tenant cannot be erased, or not yet
    ├── QueryError             a query is wrong, or asks to write
    ├── BuildError             a model, or the dbt project, cannot be built
    └── ConcurrentBuildError   another build wrote the same table in the meantime
"""

from __future__ import annotations

import re

from ingest.errors import LakewardError


class LakeError(LakewardError):
    """The root of what ``lake`` raises."""


class LakePathError(LakeError):
    """The lake root cannot be read or written."""


class ForeignTableError(LakeError):
    """A table at this path was not made by lakeward."""


class SchemaConflictError(LakeError):
    """A table's column has another type than its contract says."""


class MissingTableError(LakeError):
    """A table that a command needs is not there yet."""


class OffsetGapError(LakeError):
    """Kafka no longer has the offsets that come next."""


class DeadLetterLimitError(LakeError):
    """Too large a share of messages are dead letters."""


class CommitError(LakeError):
    """A commit failed and retrying did not help."""


class UnknownLetterError(LakeError):
    """No dead letter has this address."""


class MendingFileError(LakeError):
    """Something in a mending file is wrong."""


class ReplayError(LakeError):
    """A replay is not allowed, or cannot begin."""


class MetricsAddressError(LakeError):
    """Nobody can listen where metrics are to be served."""


class ErasureError(LakeError):
    """A tenant cannot be erased, or not yet."""


class QueryError(LakeError):
    """A query is wrong, or asks to write."""


class BuildError(LakeError):
    """A model, or the dbt project, cannot be built."""


class ConcurrentBuildError(BuildError):
    """Another build wrote the same table in the meantime."""


def in_one_line(error: Exception) -> str:
    """Return deltalake's words without their colours, arrows and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|\u21b3", " ", str(error)).split())
