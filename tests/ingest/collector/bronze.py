"""What the real writer makes of what a collector put on Kafka."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lake.settings import LakeSettings
from lake.tables import Lake


def drain(home: Path, bootstrap_servers: str) -> None:
    """Bring what is in Kafka into the bronze tables of ``home``."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("LAKEWARD_", "KAFKA_"))},
        "LAKEWARD_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "LAKEWARD_DEAD_LETTER_LIMIT": "1",
    }
    command = [sys.executable, "-m", "lakeward", "write", "--until-current", "--create-topics"]
    done = subprocess.run(
        command, env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def rows(home: Path, table: str, tenant_id: str) -> list[dict[str, Any]]:
    """Return a tenant's rows of a bronze table."""
    lake = Lake(LakeSettings(_env_file=None, home=home).root)
    found = lake.open("bronze", table).to_pyarrow_table().to_pylist()
    return [row for row in found if row.get("tenant_id") == tenant_id]
