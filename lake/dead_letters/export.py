"""Write dead letters to a file, with everything: bytes, coordinates, history."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from lake.dead_letters.reading import LetterReader
from lake.dead_letters.selection import Selection
from lake.errors import LakePathError
from lake.tables import Lake

ExportFormat = Literal["jsonl", "parquet"]
"""How letters are written."""


def export(
    lake: Lake,
    selection: Selection,
    out: Path | TextIO,
    form: ExportFormat,
    on_progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> int:
    """Write the letters of ``selection``, and return how many they were.

    A file appears when it is complete; until then there is ``<name>.part``.

    Args:
        lake: which lake.
        selection: which letters.
        out: a file, or, for JSON Lines, an open text stream.
        form: JSON Lines has the bytes in base64, and beside it as text where they are UTF-8.
        on_progress: called with how many letters are written and how many there are.

    Raises:
        LakePathError: the file cannot be written.
        MissingTableError: no writer has run yet.
    """
    with LetterReader(lake) as reader:
        total = reader.count(selection)
        schema = reader.schema()
        done = 0

        def chunks() -> Iterator[pa.Table]:
            nonlocal done
            for chunk in reader.whole(selection):
                yield chunk
                done += chunk.num_rows
                on_progress(done, total)

        if not isinstance(out, Path):
            _write_lines(out, chunks())
            return done
        try:
            with _part(out) as part:
                if form == "parquet":
                    _write_parquet(part, chunks(), schema)
                else:
                    with part.open("w", encoding="utf-8") as stream:
                        _write_lines(stream, chunks())
        except OSError as error:
            raise LakePathError(f"cannot write {out}: {error.strerror or error}") from error
        return done


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_parquet(path: Path, chunks: Iterator[pa.Table], schema: pa.Schema) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for chunk in chunks:
            writer.write_table(chunk.cast(schema))


def _write_lines(out: TextIO, chunks: Iterator[pa.Table]) -> None:
    for chunk in chunks:
        for row in chunk.to_pylist():
            out.write(json.dumps(as_document(row), ensure_ascii=False) + "\n")


def as_document(row: dict[str, Any]) -> dict[str, Any]:
    """Return a letter as JSON values: bytes in base64, and as text where they are UTF-8."""
    document: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("payload", "key"):
            document[f"{name}_base64"] = None if value is None else base64.b64encode(value).decode()
            document[name] = _text(value)
        elif name == "headers":
            document[name] = None if value is None else json.loads(value)
        else:
            document[name] = _plain(value)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _text(content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None
