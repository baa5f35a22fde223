"""How a run of the writer is told to the person who watches it."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from lake.writer import Progress

logger = logging.getLogger(__name__)


class WriterProgress:
    """One status line on a terminal, a log line a second as JSON, else a line now and then."""

    def __init__(self, console: Console, *, as_log: bool, every_seconds: float = 10.0) -> None:
        self._console = console
        self._as_log = as_log
        self._every = every_seconds
        self._last = Progress()
        self._printed_at = 0.0
        self._rate = 0.0
        self._status: Status | None = None
        if console.is_terminal and not as_log:
            self._status = Status("waiting for Kafka", console=console)

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, progress: Progress) -> None:
        """Take in where the writer is."""
        elapsed = progress.seconds - self._last.seconds
        if elapsed > 0:
            self._rate = (progress.messages - self._last.messages) / elapsed
        self._last = progress
        if self._as_log:
            logger.info("progress", extra=_fields(progress) | {"rate": round(self._rate)})
        elif self._status is not None:
            self._status.update(self._line(progress))
        elif progress.seconds - self._printed_at >= self._every:
            self._printed_at = progress.seconds
            self._console.print(self._line(progress), highlight=False, soft_wrap=True)

    def finish(self, progress: Progress) -> None:
        """Say what the whole run did."""
        if self._as_log:
            logger.info("finished", extra=_fields(progress))
            return
        dead = sum(progress.dead.values())
        reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(progress.dead.items()))
        rate = progress.messages / progress.seconds if progress.seconds else 0.0
        self._console.print(
            f"{progress.messages:,} messages in {progress.seconds:.1f} s ({rate:,.0f}/s): "
            f"{progress.rows:,} rows, {dead:,} dead letters{f' ({reasons})' if reasons else ''}, "
            f"{progress.rescued_fields:,} rescued fields, {progress.commits:,} commits",
            highlight=False,
            soft_wrap=True,
        )

    def _line(self, progress: Progress) -> str:
        lag = "unknown" if progress.lag is None else f"{progress.lag:,}"
        return (
            f"{progress.messages:,} messages, {self._rate:,.0f}/s, lag {lag}, "
            f"{sum(progress.dead.values()):,} dead letters, {progress.commits:,} commits, "
            f"{progress.partitions} partitions"
        )


def _fields(progress: Progress) -> dict[str, object]:
    return {
        "messages": progress.messages,
        "rows": progress.rows,
        "dead": dict(progress.dead),
        "rescued_fields": progress.rescued_fields,
        "commits": progress.commits,
        "fenced": progress.fenced,
        "lag": progress.lag,
        "buffered": progress.buffered,
        "seconds": round(progress.seconds, 3),
        "partitions": progress.partitions,
    }
