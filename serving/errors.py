"""What can go wrong for a user of ``serving``, as a tree.

LakewardError
└── ServingError
    ├── MartError       a table of gold is not what its declaration says, or has none
    ├── PublishError    a table cannot be published to a topic, or not like this
    └── ExportError     a table cannot be exported, or not like this
"""

from __future__ import annotations

from ingest.errors import LakewardError


class ServingError(LakewardError):
    """The root of what ``serving`` raises."""


class MartError(ServingError):
    """A table of gold is not what its declaration says, or has no declaration."""


class PublishError(ServingError):
    """A table cannot be published to a topic, or not like this."""


class ExportError(ServingError):
    """A table cannot be exported, or not like this."""
