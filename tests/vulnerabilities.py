"""Hold the installed packages against known vulnerabilities: ``make vulnerabilities``.

pip-audit asks PyPI. Where a mirror answers instead, it calls every package "not found", says that
no vulnerability is known, and exits with 0; so what was not looked up is counted and told here.
Exit code 1 when a vulnerability is known, and only then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

TIMEOUT_S: Final = 10
LONGEST: Final = 300
FOUND: Final = 1


def told(document: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return what to say of pip-audit's JSON, a line each, and the exit code."""
    packages: Sequence[Mapping[str, Any]] = document["dependencies"]
    unknown = [one for one in packages if "skip_reason" in one]
    lines = [
        f"{one['name']} {one['version']}: {weak['id']} {' '.join(weak.get('aliases', ()))}, "
        f"mended in {', '.join(weak['fix_versions']) or 'no version yet'}"
        for one in packages
        for weak in one.get("vulns", ())
    ]
    found = len(lines)
    looked_up = len(packages) - len(unknown)
    lines.append(f"{looked_up} of {len(packages)} packages looked up: {found} weaknesses known")
    if unknown:
        lines.append(
            f"NOT AUDITED: {len(unknown)} packages, as {unknown[0]['name']}: "
            f"{unknown[0]['skip_reason']}"
        )
    return lines, FOUND if found else 0


def main() -> int:
    """Run pip-audit over this environment; return the exit code."""
    program = Path(sys.executable).with_name("pip-audit")
    command = [str(program), "--format", "json", "--progress-spinner", "off", "--skip-editable"]
    run = subprocess.run(
        [*command, "--timeout", str(TIMEOUT_S)], capture_output=True, text=True, check=False
    )
    try:
        lines, code = told(json.loads(run.stdout))
    except json.JSONDecodeError:
        why = (run.stderr.strip().splitlines() or [f"exit code {run.returncode}"])[-1]
        lines, code = [f"NOT AUDITED: pip-audit has no data here: {why[:LONGEST]}"], 0
    sys.stdout.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
