"""What can go wrong for a user of ``serving``, as a tree.

LakewardError
└── ServingError
    ├── MartError       a table of gold is not what its declaration says, or has none
    ├── MetricError     a metric is not as dbt's project may define one, or not of this mart
    ├── PublishError    a table cannot be published to a topic, or not like this
    ├── ExportError     a table cannot be exported, or not like this
    ├── DefinitionError a dashboard's definition is wrong, or not what dbt's project has
    ├── SupersetEnvironmentError  Superset cannot be installed, or its metadata not be prepared
    └── SupersetAnswerError       a Superset does not answer, or refuses
"""

from __future__ import annotations

from ingest.errors import LakewardError


class ServingError(LakewardError):
    """The root of what ``serving`` raises."""


class MartError(ServingError):
    """A table of gold is not what its declaration says, or has no declaration."""


class MetricError(ServingError):
    """A metric is not as dbt's project may define one, or a mart does not have it."""


class PublishError(ServingError):
    """A table cannot be published to a topic, or not like this."""


class ExportError(ServingError):
    """A table cannot be exported, or not like this."""


class DefinitionError(ServingError):
    """A dashboard's definition is wrong, or not what dbt's project has."""


class SupersetEnvironmentError(ServingError):
    """Superset cannot be installed, or its metadata not be prepared."""


class SupersetAnswerError(ServingError):
    """A Superset does not answer, or refuses."""
