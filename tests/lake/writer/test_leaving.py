"""Letting go of Kafka ends, whatever librdkafka does."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from lake.writer.leaving import close_in_time

NEVER_CLOSES = """
import ctypes
from lake.writer.leaving import close_in_time

class Consumer:
    def close(self):
        ctypes.CDLL(None).pause()  # in C and for ever, as librdkafka does

print(close_in_time(Consumer(), 0.2))
"""


class Consumer:
    def __init__(self, error: Exception | None = None) -> None:
        self.closed_by: str | None = None
        self._error = error

    def close(self) -> None:
        self.closed_by = threading.current_thread().name
        if self._error is not None:
            raise self._error


def test_a_consumer_is_closed_before_one_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    consumer = Consumer()
    with caplog.at_level(logging.WARNING):
        assert close_in_time(consumer)
    assert consumer.closed_by is not None
    assert not caplog.records


def test_what_closing_raises_is_not_swallowed() -> None:
    with pytest.raises(KafkaException):
        close_in_time(Consumer(KafkaException(KafkaError(KafkaError._FATAL))))


def test_a_close_that_never_returns_is_told_and_left(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()

    class Stuck:
        def close(self) -> None:
            released.wait()

    with caplog.at_level(logging.WARNING):
        assert not close_in_time(Stuck(), 0.1)
    assert [record.message for record in caplog.records] == ["consumer_left_behind"]
    released.set()


def test_a_process_ends_although_its_consumer_does_not_close() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NEVER_CLOSES], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False\n"
    assert done.returncode == 0
