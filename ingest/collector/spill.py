"""A bounded queue of records on disk, for while Kafka is away.

Files are only appended to, and synced before anybody is told that a record is safe; records that
come together share one sync. The oldest file is read from its beginning and deleted when Kafka has
all of it: a crash in between sends some of it twice, which the event id makes harmless.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from ingest.collector.record import Damaged, Record, Torn, read_records
from ingest.errors import CollectorError, SpillFullError

logger = logging.getLogger(__name__)

SUFFIX: Final = ".spill"
DAMAGED_SUFFIX: Final = ".damaged"
LOCK: Final = "lock"
FILE_BYTES: Final = 16 * 1024 * 1024
"""A file is closed when it is larger: what is read at once, and sent again after a crash."""


class Spill:
    """The queue in one folder, which belongs to one process at a time.

    All methods are called from one event loop; writing happens in a thread of its own.
    """

    def __init__(self, folder: Path, max_bytes: int, *, file_bytes: int = FILE_BYTES) -> None:
        """Take the folder, and what a process before this one left in it.

        Raises:
            CollectorError: another collector has the folder, or it cannot be written.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._file_bytes = file_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(folder / LOCK)
        except BlockingIOError:
            raise CollectorError(
                f"another collector uses {folder}",
                hint="Each process needs a folder of its own: LAKEWARD_COLLECTOR_SPILL_DIR.",
            ) from None
        except OSError as error:
            raise CollectorError(
                f"{folder} cannot be written: {error.strerror}",
                hint="It keeps events while Kafka is away: LAKEWARD_COLLECTOR_SPILL_DIR.",
            ) from error
        self._closed = sorted(folder.glob(f"*{SUFFIX}"))
        self._bytes = sum(file.stat().st_size for file in self._closed)
        last = self._closed[-1].stem if self._closed else "0"
        self._number = int(last) if last.isdigit() else 0
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._written = 0
        self._is_wanted = False
        self._has_refused = False
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spill")

    @property
    def size(self) -> int:
        """Bytes on disk or about to be."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        """True when it had no room for what came last."""
        return self._has_refused

    @property
    def is_empty(self) -> bool:
        """True when nothing waits to be sent."""
        return not (self._closed or self._written or self._pending or self._flushing)

    async def append(self, records: Sequence[Record]) -> None:
        """Return when the records are on the disk.

        Raises:
            SpillFullError: there is no room, or the disk does not take them; nothing was promised.
        """
        data = b"".join([record.encode() for record in records])
        self._has_refused = self._bytes + len(data) > self._max_bytes
        if self._has_refused:
            raise SpillFullError(f"the spill holds {self._bytes} bytes and may hold no more")
        self._bytes += len(data)
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((data, safe))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await safe

    def take_oldest(self) -> Path | None:
        """Return the file to send next; None while it is still being written, or there is none.

        What was written last is closed for it, so that it can be sent.
        """
        if not self._closed and self._flushing is not None:
            self._is_wanted = True
        elif not self._closed and self._written:
            self._close_file()
        return self._closed[0] if self._closed else None

    def read(self, path: Path) -> list[Record]:
        """Return the records of a file; what cannot be read is told and kept."""
        records: list[Record] = []
        for found in read_records(path.read_bytes()):
            if isinstance(found, Record):
                records.append(found)
            elif isinstance(found, Torn):
                extra = {"file": path.name, "at": found.at, "bytes": found.size}
                logger.warning("spill_ends_torn", extra=extra)
            elif isinstance(found, Damaged):
                kept = path.with_suffix(DAMAGED_SUFFIX)
                extra = {"file": kept.name, "at": found.at, "bytes": found.size}
                with suppress(FileExistsError):
                    os.link(path, kept)
                logger.error("spill_damaged", extra=extra)
        return records

    def done(self, path: Path) -> None:
        """Forget a file: Kafka has all of it."""
        size = path.stat().st_size
        path.unlink()
        self._closed.remove(path)
        self._bytes -= size
        self._has_refused = False

    async def close(self) -> None:
        """Wait for what is being written, and give the folder up; what it holds stays."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._close_file()
        self._thread.shutdown()
        self._lock.close()

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                data = b"".join([data for data, _ in batch])
                try:
                    await loop.run_in_executor(self._thread, self._write, data)
                except OSError as error:
                    logger.error("spill_not_written", extra={"error": error.strerror})
                    self._bytes -= len(data)
                    for _, safe in batch:
                        if not safe.done():
                            safe.set_exception(SpillFullError(f"the disk: {error.strerror}"))
                    continue
                self._written += len(data)
                for _, safe in batch:
                    if not safe.done():
                        safe.set_result(None)
                if self._written >= self._file_bytes or self._is_wanted:
                    self._close_file()
        finally:
            self._flushing = None

    def _write(self, data: bytes) -> None:
        """Append to the open file and sync; what was half-written is taken back."""
        if self._file is None:
            self._number += 1
            self._path = self._folder / f"{self._number:012d}{SUFFIX}"
            self._file = self._path.open("xb", buffering=0)
            _sync_folder(self._folder)
        start = self._file.tell()
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._file.truncate(start)
                self._file.seek(start)
            raise

    def _close_file(self) -> None:
        if self._file is None or self._path is None:
            return
        self._file.close()
        if self._written:
            self._closed.append(self._path)
        else:
            self._path.unlink(missing_ok=True)
        self._file, self._path, self._written, self._is_wanted = None, None, 0, False


def _locked(path: Path) -> IO[bytes]:
    lock = path.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise
    return lock


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
