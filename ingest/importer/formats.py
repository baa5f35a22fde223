"""What the lines of a file may be."""

from __future__ import annotations

from typing import Final, Literal, get_args

Format = Literal["jsonl", "csv", "combined"]
"""JSON Lines; CSV with a header; an access log in Combined Log Format."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
