"""What can go wrong for a user of ``orchestration``, as a tree.

LakewardError
└── OrchestrationError
    ├── StackError      a process of `lakeward up` does not come up, or does not stay up
    ├── HomeInUseError  another `lakeward up` runs for the same home
    ├── PortError       a port that was asked for is taken
    └── AlertError      alerts are asked for and there is nobody to tell
"""

from __future__ import annotations

from ingest.errors import LakewardError


class OrchestrationError(LakewardError):
    """The root of what ``orchestration`` raises."""


class StackError(OrchestrationError):
    """A process of `lakeward up` does not come up, or does not stay up."""


class HomeInUseError(OrchestrationError):
    """Another `lakeward up` runs for the same home."""


class PortError(OrchestrationError):
    """A port that was asked for is taken."""


class AlertError(OrchestrationError):
    """Alerts are asked for and there is nobody to tell."""
