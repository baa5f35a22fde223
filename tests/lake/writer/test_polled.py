"""Polled messages as columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from confluent_kafka import Message

from lake.writer.polled import columns


@pytest.mark.parametrize(
    ("claimed", "kept"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_763_780_000_123, datetime(2025, 11, 22, 2, 53, 20, 123_000, tzinfo=UTC)),
        (2**62, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (-(2**62), datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_timestamp_that_no_calendar_has_is_kept_within_one(claimed: int, kept: datetime) -> None:
    message = Message(topic="t", partition=0, offset=7, value=b"{}", timestamp=(1, claimed))
    found = columns("t", "id", [message])
    assert found.appended_at.to_pylist() == [kept]
