"""What a writer frees goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import sys
from pathlib import Path

import pyarrow as pa

from lake.writer.memory import give_back_freed_memory

def resident():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024

assert give_back_freed_memory()
before = resident()
for _ in range(3):
    blocks = [pa.repeat(1, 300_000 + n) for n in range(40)]
    kept = blocks[::8]  # what is freed lies between these
    assert resident() - before > 40 * 2_000_000
    del blocks
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_freed_blocks_are_not_hoarded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80_000_000, "of 96 MB that were there, twelve are in use"
