"""A broker that is away does not fill the log."""

from __future__ import annotations

import logging

from lakeward.logs import SAY_AGAIN_SECONDS, NotAgain, PlainLines


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def written(notes: NotAgain, name: str, message: str, **fields: object) -> str | None:
    record = logging.makeLogRecord(
        {"name": name, "levelname": "ERROR", "levelno": logging.ERROR, "msg": message, **fields}
    )
    return PlainLines().format(record) if notes.filter(record) else None


def test_the_same_failure_is_said_once_in_half_a_minute_with_how_often_it_was() -> None:
    clock = Clock()
    notes = NotAgain(clock)
    name = "ingest.kafka.librdkafka"
    lines = [written(notes, name, f"FAIL [thrd:{n}] connection refused") for n in range(40)]
    assert lines[0] == "error: FAIL [thrd:0] connection refused"
    assert set(lines[1:]) == {None}
    clock.now = SAY_AGAIN_SECONDS
    assert written(notes, name, "FAIL [thrd:9] x") == "error: FAIL [thrd:9] x repeated=39"


def test_another_kind_of_failure_is_said_at_once() -> None:
    notes = NotAgain(Clock())
    silence = "lake.writer.silence"
    assert written(notes, silence, "broker_error", error="_TRANSPORT")
    assert not written(notes, silence, "broker_error", error="_TRANSPORT")
    assert written(notes, silence, "broker_error", error="_RESOLVE")
    assert written(notes, "ingest.kafka.librdkafka", "ERROR all brokers are down")


def test_nothing_else_is_left_out() -> None:
    notes = NotAgain(Clock())
    assert all(written(notes, "lake.writer.commit", "fenced") for _ in range(3))
