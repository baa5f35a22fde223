"""A request that is not taken as a whole: the status, a code for programs, a message for people.

The form is what Segment's libraries read (``code`` and ``message``).
"""

from __future__ import annotations

import math
from http import HTTPStatus


class Refusal(Exception):
    """Answers the request and ends it."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = None if retry_after is None else max(1, math.ceil(retry_after))
        """Seconds."""
        self.closes = closes
        """True when the connection ends with the answer: the rest of the body is not wanted."""
