"""The writer: from Kafka topics to bronze, each message exactly once."""

from lake.writer.loop import Progress
from lake.writer.run import run

__all__ = ["Progress", "run"]
