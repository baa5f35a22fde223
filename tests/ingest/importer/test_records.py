from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ImportFileError
from ingest.importer.formats import Format
from ingest.importer.reasons import Refusal
from ingest.importer.records import Line, guess_format, read_content, read_lines

LOG_LINE = (
    '203.0.113.9 - ada [17/May/2015:10:05:03 +0200] "GET /a%20b?q=\\"x\\" HTTP/1.1" 200 512 '
    '"-" "Mozilla/5.0 (X11; \\"odd\\")"'
)


def lines_of(tmp_path: Path, content: bytes, form: Format, after: int = 0) -> list[Line]:
    path = tmp_path / "file"
    path.write_bytes(content)
    return list(read_lines(path, form, after))


def reasons(lines: list[Line]) -> list[str | None]:
    return [line.record.reason if isinstance(line.record, Refusal) else None for line in lines]


def test_a_log_line_is_taken_apart(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, LOG_LINE.encode(), "combined")
    assert line.record == {
        "ip": "203.0.113.9",
        "ident": None,
        "user": "ada",
        "time": "2015-05-17T08:05:03Z",
        "date": "2015-05-17",
        "method": "GET",
        "path": '/a%20b?q=\\"x\\"',
        "protocol": "HTTP/1.1",
        "request": 'GET /a%20b?q=\\"x\\" HTTP/1.1',
        "status": 200,
        "bytes": 512,
        "referrer": None,
        "user_agent": 'Mozilla/5.0 (X11; \\"odd\\")',
    }


@pytest.mark.parametrize(
    "text",
    [
        LOG_LINE[:-1],
        LOG_LINE.replace("17/May", "37/May"),
        LOG_LINE.replace(" 200 ", " OK "),
        "hello",
    ],
)
def test_what_is_no_log_line_is_refused(tmp_path: Path, text: str) -> None:
    assert reasons(lines_of(tmp_path, text.encode(), "combined")) == ["not_a_log_line"]


def test_a_request_that_is_no_request_leaves_its_parts_empty(tmp_path: Path) -> None:
    text = LOG_LINE.replace('GET /a%20b?q=\\"x\\" HTTP/1.1', "\\x16\\x03\\x01")
    (line,) = lines_of(tmp_path, text.encode(), "combined")
    assert isinstance(line.record, dict)
    assert line.record["path"] is None
    assert line.record["request"] == "\\x16\\x03\\x01"


def test_json_lines_are_told_apart(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"a": 1}\r\n\n[1]\n{"a": \n{"a": "\xff"}\n  \n{"b": null}'
    lines = lines_of(tmp_path, content, "jsonl")
    assert [line.number for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert [lines[n].record for n in (0, 1, 5, 6)] == [{"a": 1}, None, None, {"b": None}]
    assert reasons(lines)[2:5] == ["not_an_object", "not_json", "not_utf8"]
    assert lines[4].text == '{"a": "\\xff"}'


def test_csv_rows_may_span_lines_and_must_fit_the_header(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbfid, name\n1,"two\nlines, quoted"\n\n2,x,y\n3\n4,\n5,\xff\n6,"say ""hi"""\n'
    )
    lines = lines_of(tmp_path, content, "csv")
    assert [line.number for line in lines] == [3, 4, 5, 6, 7, 8, 9]
    assert lines[0].record == {"id": "1", "name": "two\nlines, quoted"}
    assert lines[1].record is None
    assert reasons(lines)[2:4] == ["wrong_columns", "wrong_columns"]
    assert lines[4].record == {"id": "4", "name": None}
    assert reasons(lines)[5] == "not_utf8"
    assert lines[6].record == {"id": "6", "name": 'say "hi"'}


@pytest.mark.parametrize("content", [b"", b"\n", b" , ,\n1,2,3\n"])
def test_a_csv_file_needs_a_header(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImportFileError, match="header"):
        lines_of(tmp_path, content, "csv")


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b'{"a": 1}\n{"a": 2}\n{"a": 3}\n', "jsonl"),
        (b'a,b\n1,"x\ny"\n2,z\n3,z\n', "csv"),
        ("\n".join([LOG_LINE] * 4).encode(), "combined"),
    ],
)
def test_reading_on_gives_what_reading_at_once_gives(
    tmp_path: Path, content: bytes, form: Format
) -> None:
    whole = lines_of(tmp_path, content, form)
    for done in range(len(whole)):
        rest = lines_of(tmp_path, content, form, after=whole[done].number)
        assert rest == whole[done + 1 :]


def test_a_gzipped_file_is_the_same_content(tmp_path: Path) -> None:
    content = b'{"a": 1}\n{"a": 2}'
    (tmp_path / "plain.jsonl").write_bytes(content)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(content))
    plain, packed = tmp_path / "plain.jsonl", tmp_path / "packed.jsonl.gz"
    assert read_content(plain) == read_content(packed)
    assert read_content(plain).lines == 2
    assert not read_content(plain).ends_with_newline
    assert list(read_lines(plain, "jsonl")) == list(read_lines(packed, "jsonl"))
    assert guess_format(packed) == "jsonl"


def test_a_gzipped_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 10_000)[:-20])
    with pytest.raises(ImportFileError, match=r"cut\.jsonl\.gz: cannot be read to its end"):
        read_content(path)


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("x.JSONL", b"", "jsonl"),
        ("x.ndjson.gz", b"", "jsonl"),
        ("x.csv", b"", "csv"),
        ("x.log", b"\n" + LOG_LINE.encode() + b"\n", "combined"),
        ("x", b'{"a": 1}\n', "jsonl"),
    ],
)
def test_the_format_is_guessed(tmp_path: Path, name: str, content: bytes, form: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert guess_format(tmp_path / name) == form


def test_a_format_that_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(ImportFileError) as caught:
        guess_format(tmp_path / "x.txt")
    assert "--format" in str(caught.value)


@given(content=st.binary(max_size=300))
def test_every_line_is_told_once_whatever_it_holds(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(b"{}" + content)  # not gzip
    count = read_content(path).lines
    for form in ("jsonl", "combined"):
        assert [line.number for line in read_lines(path, form)] == list(range(1, count + 1))
