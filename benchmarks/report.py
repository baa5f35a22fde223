"""What a benchmark leaves behind: figures as JSON and as a Markdown table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number and, where there is one, the bar it is held against."""

    figure: str
    value: float
    unit: str
    bar: float | None = None
    higher_is_better: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None where there is no bar."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.higher_is_better else self.value <= self.bar


def publish(name: str, figures: Sequence[Figure]) -> Path:
    """Write ``out/<name>.json`` and the table ``out/<name>.md``, print that, return the first.

    What is printed ends with the same figures as rows of "Last measured" in README.md.
    """
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    rows = [
        {k: v for k, v in asdict(f).items() if k != "higher_is_better"} | {"met": f.met}
        for f in figures
    ]
    path.write_text(json.dumps(rows, indent=2) + "\n")
    text = _table(name, figures)
    path.with_suffix(".md").write_text(text)
    print(f"\n{text}\nAs rows of benchmarks/README.md:\n\n{_rows(name, figures)}")
    return path


def _rows(name: str, figures: Sequence[Figure]) -> str:
    lines = []
    for f in figures:
        bar = "" if f.bar is None else f"{f.bar:,g}{'' if f.met else ', not met'}"
        lines.append(f"| `{name}` | {f.figure} | {_value(f)} {f.unit} | {bar} |")
    return "\n".join(lines)


def _value(f: Figure) -> str:
    return f"{f.value:,.0f}" if abs(f.value) >= 100 else f"{f.value:,.3g}"


def _table(name: str, figures: Sequence[Figure]) -> str:
    """Return the figures as Markdown, with the machine and how busy it was."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    lines = [
        f"### {name}",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load average over 1, 5 and 15 minutes {load}",
        "",
        "| figure | value | unit | bar | met |",
        "|---|---:|---|---:|---|",
    ]
    for f in figures:
        bar = "" if f.bar is None else f"{f.bar:,g}"
        met = {None: "", True: "yes", False: "no"}[f.met]
        lines.append(f"| {f.figure} | {_value(f)} | {f.unit} | {bar} | {met} |")
    return "\n".join(lines) + "\n"
