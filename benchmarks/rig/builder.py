"""The process that builds the models of a benchmark's lake, seen from the one that measures."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.rig.watched import ROOT, python, sample
from ingest.child_process import dies_with_parent

NO_TESTS: Final = ("--exclude-resource-type", "test", "unit_test")

Used = Mapping[str, Any]


class Builder:
    """A process that stays and builds the models of one lake."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            dies_with_parent(python("-m", "benchmarks.rig.model_run", str(self._home))),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def build(self, *options: str) -> Used:
        """Build all models and return what that used."""
        return self.ask({"dbt": ["build", *NO_TESTS, *options]})

    def ask(self, question: Mapping[str, Any]) -> Used:
        """Have something done and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the building process failed; what it said stands above"
        used = sample(self._process.pid)
        assert used is not None
        self.peak_mb = max(self.peak_mb, used.peak / 1e6)
        answer: Used = json.loads(line)
        return answer
