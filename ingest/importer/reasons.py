"""Why a line of a file is not sent: every reason, named once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Reason = Literal[
    "not_utf8",
    "not_json",
    "not_an_object",
    "not_a_log_line",
    "wrong_columns",
    "mapping_failed",
    "missing_required",
    "invalid_required",
]

NOT_UTF8: Final = "not_utf8"
"""The bytes are not UTF-8."""

NOT_JSON: Final = "not_json"
"""The line is not JSON; JSON Lines only."""

NOT_AN_OBJECT: Final = "not_an_object"
"""The line is JSON, but no object; JSON Lines only."""

NOT_A_LOG_LINE: Final = "not_a_log_line"
"""The line is not in Combined Log Format, for example cut off."""

WRONG_COLUMNS: Final = "wrong_columns"
"""The row has more or fewer values than the header has names; CSV only."""

MAPPING_FAILED: Final = "mapping_failed"
"""A transform of the mapping cannot work on the value."""

MISSING_REQUIRED: Final = "missing_required"
"""After the mapping a member that the contract requires is absent or null."""

INVALID_REQUIRED: Final = "invalid_required"
"""After the mapping a required member does not fit its type."""

REASONS: tuple[Reason, ...] = get_args(Reason)
"""Every reason, in the order they are looked for."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not sent: why, and what exactly is wrong with it."""

    reason: Reason
    detail: str
