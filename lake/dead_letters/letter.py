"""One dead letter: what the writer put away, and what became of it since."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lake.dead_letters.selection import Standing
from lake.errors import UnknownLetterError
from lake.writer.source import Source

_ADDRESS: Final = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)[:/](?P<partition>\d+)[:/](?P<offset>\d+)")


@dataclass(frozen=True, slots=True)
class Letter:
    """One row of ``bronze.dead_letters`` without the bytes, and its history in short."""

    contract: str
    source: Source
    offset: int
    reason: str
    detail: str
    tenant_id: str | None
    """What the message said; null where it could not be read, or names none."""
    contract_version: str
    appended_at: datetime
    committed_at: datetime
    size: int | None
    """Bytes of the payload; None for a tombstone."""
    standing: Standing
    attempts: int
    """How often it was decoded: once by the writer, and once by each replay."""
    last_reason: str | None = None
    """Why the last replay failed."""
    last_at: datetime | None = None
    """When the last replay was."""

    @property
    def address(self) -> str:
        """``<topic>:<partition>:<offset>``, by which commands name it."""
        return f"{self.source.topic}:{self.source.partition}:{self.offset}"


def parse_address(text: str) -> tuple[str, int, int]:
    """Return topic, partition and offset of a letter's address.

    Raises:
        UnknownLetterError: it is none.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        raise UnknownLetterError(
            f"{text!r} names no dead letter",
            hint="Write <topic>:<partition>:<offset>, as `lakeward dead-letters list` shows it.",
        )
    return found["topic"], int(found["partition"]), int(found["offset"])
