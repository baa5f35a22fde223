"""``lakeward demo``, small."""

from __future__ import annotations

import re
from pathlib import Path

from tests.end_to_end.conftest import Lakeward


def test_the_demo_ends_with_agreeing_numbers_a_clean_audit_and_a_report(
    lakeward: Lakeward, tmp_path: Path
) -> None:
    folder = tmp_path / "a demo's folder"
    output = lakeward("demo", "--events", "6000", "--days", "4", "--folder", str(folder))
    assert re.search(r"all \d+ numbers agree with the ledger", output)
    assert re.search(r"exactly once: 6,\d+ messages = .*; 0 lost, 0 twice", output)
    assert "passed: " in output
    for column in ("purchases", "gross_usd", "page_views"):
        assert column in output
    assert (folder / "data_docs" / "index.html").is_file()


def test_the_demo_does_not_empty_a_folder_that_is_not_its_own(
    lakeward: Lakeward, tmp_path: Path
) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    output = lakeward("demo", "--folder", str(folder), exit_code=2)
    assert "holds something else than an earlier demo" in output
    assert (folder / "thesis.txt").read_text() == "years of work"
