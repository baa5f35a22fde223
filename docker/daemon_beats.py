"""Ask whether Dagster's daemon lives, as `dagster-daemon liveness-check` would.

That command takes five seconds of CPU to start; a container asks again and again. It reads what the
daemon's threads write every half minute into the database of runs, and so does this. Where
`dagster.yaml` is the user's own, runs may be elsewhere and other threads needed: there it asks the
command.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

OURS = "# Written by `lakeward up`"
"""How a `dagster.yaml` begins that lakeward writes anew at each start."""
THREADS = {
    *("SENSOR", "BACKFILL", "SCHEDULER", "QUEUED_RUN_COORDINATOR"),
    *("MONITORING", "EVENT_LOG_CONSUMER", "ASSET"),
}
"""Those that this `dagster.yaml` needs."""
OLDEST = timedelta(seconds=30 + 1800)
"""The age of a heartbeat that Dagster takes for death: its interval and its tolerance."""


def main(home: Path) -> None:
    """End with 1 unless every thread has sent a heartbeat of late."""
    if not (home / "dagster.yaml").read_text().startswith(OURS):
        os.execvp("dagster-daemon", ["dagster-daemon", "liveness-check"])  # noqa: S606, S607
    database = f"file:{home}/history/runs.db?mode=ro"
    since = (datetime.now(UTC) - OLDEST).strftime("%Y-%m-%d %H:%M:%S.%f")  # as Dagster keeps it
    try:
        with closing(sqlite3.connect(database, uri=True, timeout=10)) as connection:
            rows = connection.execute(
                "select daemon_type from daemon_heartbeats where timestamp >= ?", [since]
            )
            silent = THREADS - {name for (name,) in rows}
    except sqlite3.OperationalError as error:
        sys.exit(f"{database}: {error}")
    if silent:
        sys.exit(f"no heartbeat of {', '.join(sorted(silent))}")


if __name__ == "__main__":
    main(Path(os.environ["DAGSTER_HOME"]))
