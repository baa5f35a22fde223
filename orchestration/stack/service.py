"""What ``lakeward up`` runs: the description of one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Service:
    """One long-running process."""

    name: str
    """Names its log file and its lines on the console."""
    what: str
    """What it does, for the table that a user sees."""
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    """True once it does its work. Asked often, so it must answer within a second or so."""
    ready_line: str | None = None
    """It is not ready before a line of its output contains this."""
    restart_command: tuple[str, ...] | None = None
    """What is run after a crash, when that is not ``command``."""
    where: str = ""
    """An address to look at, for the table."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables besides those of this process."""
    start_seconds: float = 90.0
    """Time it may take to be ready."""
    stop_seconds: float = 20.0
    """Time it may take to end after SIGTERM before it is killed."""
