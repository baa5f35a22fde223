"""A mart as a file: complete or not there at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from lake.errors import LakePathError
from serving.errors import ExportError
from serving.export.source import Compression, FileFormat, Source

SUFFIXES: Final[dict[str, tuple[FileFormat, Compression]]] = {
    ".parquet": ("parquet", "zstd"),
    ".csv": ("csv", "none"),
    ".csv.gz": ("csv", "gzip"),
    ".csv.zst": ("csv", "zstd"),
}
"""What the end of a file's name says, unless an option says otherwise."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """How the rows are written."""

    form: FileFormat
    compression: Compression


def kind_of(
    path: Path | None, form: FileFormat | None = None, compression: Compression | None = None
) -> FileKind:
    """Return the kind of a file by its name; standard output (None) is CSV.

    Raises:
        ExportError: neither the name nor ``form`` tells.
    """
    found = next(
        (SUFFIXES[end] for end in SUFFIXES if path is not None and path.name.endswith(end)), None
    )
    if path is None:
        found = ("csv", "none")
    if form is None and found is None:
        raise ExportError(
            f"the name of {path} does not say what it is to be",
            hint=f"end it with {', '.join(SUFFIXES)}, or use --format",
        )
    if form is None or (found is not None and found[0] == form):
        assert found is not None
        return FileKind(found[0], compression or found[1])
    return FileKind(form, compression or ("zstd" if form == "parquet" else "none"))


def write_file(source: Source, path: Path, kind: FileKind) -> int:
    """Write the rows to ``path``, which appears, or is replaced, when it is complete.

    Raises:
        ExportError: the rows cannot be read.
        LakePathError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = source.write(part, kind.form, kind.compression)
        part.replace(path)
    except OSError as error:
        raise LakePathError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def write_stream(source: Source, out: BinaryIO, kind: FileKind) -> int:
    """Write the rows to a stream, by way of a temporary file: Parquet ends with its index.

    Raises:
        ExportError: the rows cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="lakeward-export-") as folder:
        path = Path(folder) / "rows"
        rows = source.write(path, kind.form, kind.compression)
        with path.open("rb") as written:
            shutil.copyfileobj(written, out)
    out.flush()
    return rows
