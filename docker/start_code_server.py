"""Start the server that holds Dagster's definitions and is the parent of its runs.

It is the first of Dagster's three containers, so it writes what the other two read: Dagster's
configuration, and where this server is. Before it serves, it ends the runs that its predecessor
left unfinished: none of them can be alive, and one that was cut off would otherwise look busy for
ever and keep the next builds waiting. What such a run left of temporary files it removes.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from dagster import DagsterInstance

from orchestration.instance import (
    DEFINITIONS_MODULE,
    LOCATION,
    end_cut_off_runs,
    prepare,
    write_workspace,
)
from orchestration.settings import OrchestrationSettings


def main(host: str, port: int) -> None:
    """Prepare Dagster's folder, then become the server; ``host`` is its name for the others."""
    settings = OrchestrationSettings()
    clear_temporary_files()
    prepare(settings)
    write_workspace(settings, host, port)
    with DagsterInstance.get() as instance:
        end_cut_off_runs(instance, "its container was stopped")
    command = ["dagster", "code-server", "start", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104
    command += ["--module-name", DEFINITIONS_MODULE, "--location-name", LOCATION]
    os.execvp(command[0], command)  # noqa: S606 - the server takes this process's place


def clear_temporary_files() -> None:
    """Make the folder that TMPDIR names, or Python silently takes another; remove what is left."""
    if "TMPDIR" not in os.environ:
        return
    folder = Path(os.environ["TMPDIR"])
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("lakeward-*"):
        if left.is_dir():
            shutil.rmtree(left)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
