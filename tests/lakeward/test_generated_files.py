"""Files that are written from contracts are what the contracts say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeward.generated import CHECKOUT, GeneratedFile, generated_files


@pytest.mark.parametrize(
    "file",
    [file for file in generated_files(None) if file.shipped],
    ids=lambda file: str(file.path.relative_to(CHECKOUT)),
)
def test_no_generated_file_has_drifted(file: GeneratedFile) -> None:
    assert file.drift is None, f"{file.path} {file.drift}: run `lakeward contracts generate`"


def test_an_edited_file_has_drifted_until_it_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "dbt_project").mkdir()
    assert {f.drift for f in generated_files(None, tmp_path) if f.shipped} == {"is missing"}
    for file in generated_files(None, tmp_path):
        if file.is_stale:
            file.write()
    assert {f.drift for f in generated_files(None, tmp_path)} == {None}
    page = tmp_path / "docs/reference/contracts/clickstream.md"
    page.write_text(page.read_text().replace("scroll_depth", "depth"))
    drifted = [(f.path, f.drift) for f in generated_files(None, tmp_path) if f.drift]
    assert drifted == [(page, "is not what the contracts say")]


def test_the_page_of_a_contract_that_is_gone_is_removed_and_other_pages_are_not(
    tmp_path: Path,
) -> None:
    for file in generated_files(None, tmp_path):
        if file.is_stale:
            file.write()
    folder = tmp_path / "docs/reference/contracts"
    (folder / "gone.md").write_text((folder / "clickstream.md").read_text())
    (folder / "by-hand.md").write_text("# Written by hand\n")
    (left,) = [file for file in generated_files(None, tmp_path) if file.is_stale]
    assert left.drift == "is left over from a contract that is gone"
    left.write()
    assert {path.name for path in folder.iterdir()} >= {"by-hand.md", "clickstream.md"}
    assert not (folder / "gone.md").exists()
