"""What can go wrong for a user of ``expectations``, as a tree.

LakewardError
└── ExpectationsError
    ├── CheckScopeError    no such layer or table to check
    └── CheckRunError      results or Data Docs cannot be written
"""

from __future__ import annotations

from ingest.errors import LakewardError


class ExpectationsError(LakewardError):
    """The root of what ``expectations`` raises."""


class CheckScopeError(ExpectationsError):
    """No such layer or table to check."""


class CheckRunError(ExpectationsError):
    """Results or Data Docs cannot be written."""
