"""What /readyz says while something is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ingest.collector.readiness import Readiness


def told(*, is_spilling: bool, is_full: bool, age: float) -> dict[str, Any]:
    parts: list[Any] = [
        SimpleNamespace(is_spilling=is_spilling),
        SimpleNamespace(is_full=is_full, size=7),
        SimpleNamespace(failure=None),
        SimpleNamespace(age_seconds=age, is_too_old=False),
    ]
    return Readiness(*parts).told()


@pytest.mark.parametrize(("age", "word"), [(2.5, "ok"), (11.0, "away"), (86_400.0, "away")])
def test_without_the_registry_events_are_taken_and_its_age_is_told(age: float, word: str) -> None:
    said = told(is_spilling=False, is_full=False, age=age)
    assert said["is_ready"]
    assert (said["tenant_registry"], said["tenant_registry_age_seconds"]) == (word, age)


def test_only_without_kafka_and_without_room_no_event_is_taken() -> None:
    assert told(is_spilling=True, is_full=False, age=0)["is_ready"]
    said = told(is_spilling=True, is_full=True, age=0)
    assert not said["is_ready"]
    assert said["why"] == "Kafka is away and the spill is full"
