"""What can go wrong for a user of the dashboard, as a tree.

LakewardError
└── DashboardError        the dashboard cannot start, or cannot answer
    ├── FilterError       a filter of the page is not understood
    ├── BusyError         too many queries wait; asking again in a moment helps
    └── SlowQueryError    a query was ended because it took too long
"""

from __future__ import annotations

from ingest.errors import LakewardError


class DashboardError(LakewardError):
    """The dashboard cannot start, or cannot answer."""


class FilterError(DashboardError):
    """A filter of the page is not understood."""


class BusyError(DashboardError):
    """Too many queries wait; asking again in a moment helps."""


class SlowQueryError(DashboardError):
    """A query was ended because it took too long."""
