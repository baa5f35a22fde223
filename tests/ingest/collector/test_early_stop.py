"""A collector that is told to end while it starts ends, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ingest.collector.running import environment_of
from tests.ports import free_ports


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_during_the_start_ends_the_collector(
    number: signal.Signals, tmp_path: Path
) -> None:
    """It has its address and waits for a Kafka that is away: that is before uvicorn listens."""
    port, nobody = free_ports(2)
    process = subprocess.Popen(
        [sys.executable, "-m", "lakeward", "collect", "--log-format", "json"],
        env=environment_of(
            tmp_path,
            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{nobody}",
            LAKEWARD_COLLECTOR_ADDRESS=f"127.0.0.1:{port}",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    try:
        deadline = time.monotonic() + 120
        while not _has_bound(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        said, _ = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "told to end before it listened" in said
    assert "collector_listens" not in said
    assert "Traceback" not in said


def _has_bound(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
