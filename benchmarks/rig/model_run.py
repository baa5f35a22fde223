"""A process that builds models and answers queries: ``python -m benchmarks.rig.model_run HOME``.

It reads a JSON object a line and answers with one: ``{"dbt": [arguments]}`` or
``{"queries": [SQL], "times": N}``. It stays, so that what it does second is done in a warm
process. With one thread each model's seconds, CPU time and bytes read are its own; with several
they are not told.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lake.dbt_run import Progress, run_dbt
from lake.priority import give_way
from lake.read import LakeReader
from lake.settings import LakeSettings
from lake.tables import Lake


@dataclass(frozen=True, slots=True)
class Used:
    """What this process has used up to a moment."""

    wall: float
    cpu: float
    read: int
    """Bytes asked of the operating system, from its cache or from the disk."""

    @classmethod
    def now(cls) -> Used:
        """Look."""
        counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return cls(time.perf_counter(), time.process_time(), int(counters["rchar"]))

    def until(self, later: Used) -> dict[str, float]:
        """Return what was used from here until ``later``."""
        return {
            "wall": later.wall - self.wall,
            "cpu": later.cpu - self.cpu,
            "read": later.read - self.read,
        }


@dataclass
class Stopwatch:
    """Notes what each model uses, for a run with one thread."""

    models: dict[str, dict[str, float]] = field(default_factory=dict)
    _began: dict[str, Used] = field(default_factory=dict)

    def __call__(self, progress: Progress) -> None:
        """Take note that a model began or ended."""
        if progress.has_ended:
            self.models[progress.name] = self._began[progress.name].until(Used.now())
        else:
            self._began[progress.name] = Used.now()


def main() -> None:
    """Do what is asked, until there is nothing more to read."""
    give_way(LakeSettings().build_niceness)  # as a build does
    home = Path(sys.argv[1])
    lake = Lake(str(home / "lake"))
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _build(home, lake, asked["dbt"]) if "dbt" in asked else _ask(lake, asked)
        print(json.dumps(answer), flush=True)


def _build(home: Path, lake: Lake, arguments: list[str]) -> dict[str, Any]:
    watch, before = Stopwatch(), Used.now()
    result = run_dbt(arguments, home=home, lake_root=lake.root, on_progress=watch)
    used = before.until(Used.now())
    failures = [f"{node.label}: {node.message}" for node in result.failures()]
    assert result.succeeded, failures
    modes = {node.name: {"mode": node.mode, "rows": node.rows} for node in result.models()}
    compiled = {
        node.label: str(node.compiled)
        for node in result.models()
        if node.compiled and node.kind == "model"
    }
    models = {name: {**told, **watch.models.get(name, {})} for name, told in modes.items()}
    return {**used, "models": models, "compiled": compiled}


def _ask(lake: Lake, asked: dict[str, Any]) -> dict[str, Any]:
    walls: dict[str, list[float]] = {}
    cpu = time.process_time()
    with LakeReader(lake) as reader:
        for name, sql in asked["queries"].items():
            for _ in range(asked["times"]):
                began = time.perf_counter()
                reader.table(sql)
                walls.setdefault(name, []).append(time.perf_counter() - began)
    return {"walls": walls, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    main()
