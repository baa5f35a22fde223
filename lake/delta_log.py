"""What was done to a Delta table between two of its versions, read from its log.

Increments rest on this: a model processes the files that its upstream got since the version it
last read. The commit files say so exactly: a file with ``dataChange: false`` was moved by
compaction and carries no new row, however it got there. Rows that an erasure took away are no
change either: it takes them from every table itself (``lake.erasure``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from lake.erasure.mark import Mark, mark_in

READERS = 16
"""Commit files read at the same time from an object store; a local disk needs no crowd."""


class LogGoneError(Exception):
    """A commit file or a data file that is needed has been cleaned up; never shown to a user."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file that a commit added or removed."""

    path: str
    """Relative to the table, as it is on disk: partition values are URL-encoded in it once."""
    partition: tuple[str | None, ...]
    """Partition values, as text, in the order of the table's partition columns."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The files whose rows are new or gone; compaction is not among them."""

    added: tuple[DataFile, ...] = ()
    removed: tuple[DataFile, ...] = ()
    is_tangled: bool = False
    """True when a file was removed that compaction had made of one that came in between: it holds
    rows of both sides, so files do not tell any more which rows came and which went."""

    @property
    def is_empty(self) -> bool:
        """True when no row came or went."""
        return not self.added and not self.removed

    def partitions(self) -> frozenset[tuple[str | None, ...]]:
        """Return the partitions that hold, or held, a changed row."""
        return frozenset(file.partition for file in (*self.added, *self.removed))


def read_changes(table: DeltaTable, after: int, storage_options: dict[str, str] | None) -> Changes:
    """Return what was changed in versions ``after + 1`` up to the one that ``table`` is at.

    A file that was added in between and from which an erasure took rows since is not there any
    more: in its place stands the one with the rows that stay, if any do. A file that came and went
    in between is no change.

    Raises:
        LogGoneError: the log no longer has one of these versions.
    """
    columns = table.metadata().partition_columns
    log = _Log(table.table_uri, storage_options)
    added: dict[str, DataFile] = {}
    removed: dict[str, DataFile] = {}
    mixed: set[str] = set()
    """What compaction made of files that came in between, and maybe of older ones."""
    is_tangled = False
    for commit in log.commits(after + 1, table.version()):
        mixed |= _made_of(commit, added.keys() | mixed)
        for action in commit:
            kind = next(iter(action))
            body = action[kind]
            if kind not in ("add", "remove") or not body.get("dataChange", True):
                continue
            values = body.get("partitionValues")
            if columns and not values:
                raise LogGoneError(f"{body['path']} is removed without its partition")
            file = DataFile(unquote(body["path"]), tuple((values or {}).get(c) for c in columns))
            ours, other = (added, removed) if kind == "add" else (removed, added)
            if other.pop(file.path, None) is None:
                ours[file.path] = file
                is_tangled = is_tangled or (kind == "remove" and file.path in mixed)
        for action in commit:
            mark = mark_in(action.get("commitInfo", {}))
            if mark is not None:
                _follow(mark, added)
    return Changes(tuple(added.values()), tuple(removed.values()), is_tangled)


def _made_of(commit: list[dict[str, Any]], files: Set[str]) -> set[str]:
    """Return what a compaction made, when it took one of ``files``."""
    moved: dict[str, set[str]] = {"add": set(), "remove": set()}
    for action in commit:
        kind = next(iter(action))
        if kind in moved and not action[kind].get("dataChange", True):
            moved[kind].add(unquote(action[kind]["path"]))
    return moved["add"] if moved["remove"] & files else set()


def _follow(mark: Mark, added: dict[str, DataFile]) -> None:
    """Put the files that an erasure wrote in the place of those it replaced."""
    for old, new in mark.replaced.items():
        file = added.pop(old, None)
        if file is not None and new is not None:
            added[new] = DataFile(new, file.partition)


def read_commit_infos(
    table: DeltaTable,
    after: int,
    storage_options: dict[str, str] | None,
    until: int | None = None,
) -> list[tuple[int, dict[str, Any]]]:
    """Return what versions ``after + 1`` up to ``until`` say of themselves.

    ``until`` is by default the version that ``table`` is at, and never later than that.

    Oldest first, each with its version; one that the log no longer has is left out. deltalake's
    ``history`` is no substitute: it begins at the log's newest commit and gives that one the
    number of the version that ``table`` is at, so all numbers are wrong when somebody commits
    between opening the table and asking.
    """
    log = _Log(table.table_uri, storage_options)
    infos: list[tuple[int, dict[str, Any]]] = []
    last = table.version() if until is None else min(until, table.version())
    for version, text in log.texts(after + 1, last):
        for line in (text or b"").splitlines():
            action = json.loads(line) if b"commitInfo" in line[:32] else {}
            if "commitInfo" in action:
                infos.append((version, action["commitInfo"]))
    return infos


def locate_files(
    table: DeltaTable, files: tuple[DataFile, ...], storage_options: dict[str, str] | None
) -> list[str]:
    """Return the addresses of ``files``, after a look that each is still there.

    Raises:
        LogGoneError: vacuum has removed one of them.
    """
    root = table.table_uri.rstrip("/")
    if _is_local(root):
        folder = _local_path(root)
        addresses = [os.path.join(folder, file.path) for file in files]
        gone = [address for address in addresses if not os.path.exists(address)]
    else:
        fs = pafs.PyFileSystem(DeltaStorageHandler(root, storage_options))
        found = fs.get_file_info([file.path for file in files]) if files else []
        addresses = [f"{root}/{file.path}" for file in files]
        gone = [info.path for info in found if info.type == pafs.FileType.NotFound]
    if gone:
        raise LogGoneError(f"{len(gone)} of {len(files)} files were vacuumed")
    return addresses


class _Log:
    """The commit files of one table."""

    def __init__(self, root: str, storage_options: dict[str, str] | None) -> None:
        self._root = root.rstrip("/")
        self._storage_options = storage_options

    def commits(self, first: int, last: int) -> list[list[dict[str, Any]]]:
        """Return the actions of each version, in order.

        Raises:
            LogGoneError: one of the versions is not there.
        """
        commits = []
        for version, text in self.texts(first, last):
            if text is None:
                raise LogGoneError(f"the log no longer has version {version}")
            commits.append([json.loads(line) for line in text.splitlines() if line])
        return commits

    def texts(self, first: int, last: int) -> list[tuple[int, bytes | None]]:
        """Return the commit file of each version, in order; None for one that is not there."""
        versions = range(first, last + 1)
        if _is_local(self._root):
            folder = _local_path(self._root)
            return [(version, _read_local(folder, version)) for version in versions]
        fs = pafs.PyFileSystem(DeltaStorageHandler(self._root, self._storage_options))
        with ThreadPoolExecutor(READERS) as pool:
            read = pool.map(lambda version: _read_remote(fs, version), versions)
            return list(zip(versions, read, strict=True))


def _name(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


def _read_local(folder: str, version: int) -> bytes | None:
    try:
        with open(os.path.join(folder, _name(version)), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _read_remote(fs: pafs.FileSystem, version: int) -> bytes | None:
    try:
        with fs.open_input_file(_name(version)) as file:
            return bytes(file.read())
    except FileNotFoundError:
        return None


def _is_local(root: str) -> bool:
    return "://" not in root or root.startswith("file://")


def _local_path(root: str) -> str:
    return unquote(urlsplit(root).path) if root.startswith("file://") else root
