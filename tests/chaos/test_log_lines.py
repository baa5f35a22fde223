"""What a killed process left of a line is nobody's event."""

from __future__ import annotations

from pathlib import Path

from benchmarks.chaos.log_lines import LogLines


def test_half_a_line_is_not_glued_to_the_next_process(tmp_path: Path) -> None:
    log = tmp_path / "writer.log"
    lines = LogLines(log)
    log.write_text('{"event": "flushed"}\n{"event": "fen')
    lines.read(1)
    lines.forget_half_a_line()
    with log.open("a") as more:
        more.write('{"event": "progress"}\n')
    lines.read(2)
    assert [(line.process, line.event) for line in lines.lines] == [(1, "flushed"), (2, "progress")]
    assert [line.event for line in lines.of(2)] == ["progress"]


def test_a_line_is_whole_even_if_it_is_read_in_two(tmp_path: Path) -> None:
    log = tmp_path / "writer.log"
    lines = LogLines(log)
    log.write_text('{"event": "fen')
    lines.read(1)
    with log.open("a") as more:
        more.write('ced"}\nTraceback (most recent call last):\n')
    lines.read(1)
    assert [line.event for line in lines.since(0)] == ["fenced"]
    assert lines.noise["tracebacks"] == 1
