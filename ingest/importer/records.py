"""Reading a file line by line: JSON Lines, CSV or Combined Log Format, plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, cast

import orjson

from ingest.errors import ImportFileError
from ingest.importer.formats import FORMATS, Format
from ingest.importer.reasons import Reason, Refusal

Record: TypeAlias = dict[str, Any]

_SUFFIXES: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
}

_COMBINED: Final = re.compile(
    r"(?P<ip>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<bytes>\d+|-) '
    r'"(?P<referrer>(?:[^"\\]|\\.)*)" "(?P<user_agent>(?:[^"\\]|\\.)*)"\s*'
)
"""https://httpd.apache.org/docs/2.4/logs.html#combined"""

_REQUEST: Final = re.compile(r"(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<protocol>HTTP/[\d.]+))?")
_LOG_TIME: Final = "%d/%b/%Y:%H:%M:%S %z"
COMBINED_FIELDS: Final = (
    "ip", "ident", "user", "time", "date", "method", "path", "protocol", "request", "status",
    "bytes", "referrer", "user_agent",
)  # fmt: skip
"""What a log line is made of: ``time`` is ISO 8601 in UTC, ``date`` its day; "-" becomes null."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, or one CSV row, which may span several."""

    number: int
    """Counted from 1, as editors do; of a CSV row that spans several, the last one."""
    text: str
    """As it stands in the file, for the list of refused lines."""
    record: Record | Refusal | None
    """None for a blank line."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, gzipped or not: its identity."""

    sha256: str
    size: int
    """Bytes, after unpacking."""
    lines: int
    """Lines, a last one without a line break included."""
    ends_with_newline: bool


@contextmanager
def open_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacking it if it is gzipped.

    Raises:
        ImportFileError: there is no such file, or it cannot be read.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ImportFileError(
            f"{path}: cannot be read: {error.strerror}", hint="name a file that exists"
        ) from error
    with raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not is_gzip:
            yield raw
            return
        with gzip.open(raw) as unpacked:
            yield cast("IO[bytes]", unpacked)


def read_content(path: Path, first: int | None = None) -> Content:
    """Read a file through, or its ``first`` bytes, and return what identifies it.

    Raises:
        ImportFileError: it cannot be read or unpacked.
    """
    digest = hashlib.sha256()
    size = lines = 0
    last = b"\n"
    try:
        with open_file(path) as file:
            while block := file.read(2**20 if first is None else min(2**20, first - size)):
                digest.update(block)
                size += len(block)
                lines += block.count(b"\n")
                last = block[-1:]
    except (OSError, EOFError) as error:
        raise ImportFileError(f"{path}: cannot be read to its end: {error}") from error
    complete = last == b"\n"
    return Content(digest.hexdigest(), size, lines + (not complete), complete)


def guess_format(path: Path) -> Format:
    """Return the format by the file's name, else by its first line.

    Raises:
        ImportFileError: neither says it.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    with open_file(path) as file:
        first = next((line for line in file if line.strip()), b"")
    text = first.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        return "jsonl"
    if _COMBINED.fullmatch(text):
        return "combined"
    raise ImportFileError(
        f"{path}: neither the name nor the first line says what the file is",
        hint=f"name it with --format: {', '.join(FORMATS)}",
    )


def read_lines(path: Path, form: Format, after: int = 0) -> Iterator[Line]:
    """Yield the lines of a file that come after line number ``after``.

    Raises:
        ImportFileError: the file cannot be read, or a CSV file has no header.
    """
    with open_file(path) as file:
        try:
            if form == "csv":
                yield from _csv_lines(path, file, after)
                return
            parse = _parse_json if form == "jsonl" else _parse_combined
            for number, raw in enumerate(file, start=1):
                if number > after:
                    yield _line(number, raw, parse)
        except (OSError, EOFError) as error:
            raise ImportFileError(f"{path}: cannot be read to its end: {error}") from error


def _line(number: int, raw: bytes, parse: Any) -> Line:
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        shown = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        return Line(number, shown, Refusal("not_utf8", f"byte {error.start} is not UTF-8"))
    return Line(number, text, parse(text) if text.strip() else None)


def _parse_json(text: str) -> Record | Refusal:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Refusal("not_json", str(error))
    if not isinstance(value, dict):
        return Refusal("not_an_object", f"expected an object, found {type(value).__name__}")
    return value


def _parse_combined(text: str) -> Record | Refusal:
    found = _COMBINED.fullmatch(text)
    reason: Reason = "not_a_log_line"
    if found is None:
        return Refusal(reason, "expected Combined Log Format")
    try:
        at = datetime.strptime(found["time"], _LOG_TIME).astimezone(UTC)
    except ValueError as error:
        return Refusal(reason, f"the time is wrong: {error}")
    request = _REQUEST.fullmatch(found["request"])
    return {
        "ip": found["ip"],
        "ident": _unless_dash(found["ident"]),
        "user": _unless_dash(found["user"]),
        "time": at.isoformat().replace("+00:00", "Z"),
        "date": at.date().isoformat(),
        "method": None if request is None else request["method"],
        "path": None if request is None else request["path"],
        "protocol": None if request is None else request["protocol"],
        "request": _unless_dash(found["request"]),
        "status": int(found["status"]),
        "bytes": None if found["bytes"] == "-" else int(found["bytes"]),
        "referrer": _unless_dash(found["referrer"]),
        "user_agent": _unless_dash(found["user_agent"]),
    }


def _unless_dash(text: str) -> str | None:
    return None if text in {"-", ""} else text


def _csv_lines(path: Path, file: IO[bytes], after: int) -> Iterator[Line]:
    kept: list[str] = []

    def texts() -> Iterator[str]:
        for number, raw in enumerate(file):
            text = raw.decode("utf-8-sig" if number == 0 else "utf-8", "surrogateescape")
            kept.append(text)
            yield text

    rows = csv.reader(texts())
    header = next(rows, None)
    if not header or not any(name.strip() for name in header):
        raise ImportFileError(f"{path}: expected a header line with the names of the columns")
    names = [name.strip() for name in header]
    while True:
        kept.clear()
        try:
            row = next(rows, None)
        except csv.Error as error:
            row = None
            if rows.line_num > after:
                yield Line(rows.line_num, "".join(kept), Refusal("wrong_columns", str(error)))
            continue
        if row is None:
            return
        if rows.line_num > after:
            yield Line(rows.line_num, "".join(kept).rstrip("\r\n"), _parse_row(names, row))


def _parse_row(names: list[str], row: list[str]) -> Record | Refusal | None:
    if not row or (len(row) == 1 and not row[0].strip()):
        return None
    if len(row) != len(names):
        return Refusal("wrong_columns", f"{len(row)} values for {len(names)} columns")
    if any("\udc80" <= char <= "\udcff" for value in row for char in value):
        return Refusal("not_utf8", "a value is not UTF-8")
    return {name: value if value != "" else None for name, value in zip(names, row, strict=True)}
