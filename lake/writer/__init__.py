"""The writer: from Kafka topics to bronze, each message exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lake.writer.progress import Progress
    from lake.writer.service import run

__all__ = ["Progress", "run"]


def __getattr__(name: str) -> Any:
    """Import the Kafka client and DuckDB only when the writer itself is asked for."""
    if name == "run":
        from lake.writer.service import run

        return run
    if name == "Progress":
        from lake.writer.progress import Progress

        return Progress
    raise AttributeError(name)
