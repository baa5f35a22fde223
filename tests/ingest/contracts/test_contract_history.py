"""Contracts as they were at a commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ingest.contracts.history import UnversionedError, contracts_at
from ingest.errors import ContractError


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


@pytest.fixture
def folder(tmp_path: Path, payments_text: str) -> Path:
    """A folder inside a repository, with one commit that has the guide's contract."""
    folder = tmp_path / "the repo" / "contracts"
    folder.mkdir(parents=True)
    git(folder.parent, "init", "--quiet", "--initial-branch=main")
    (folder / "payments.odcs.yaml").write_text(payments_text)
    (folder / "notes.txt").write_text("no contract")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "--quiet", "-m", "first")
    git(folder.parent, "tag", "one")
    return folder


def test_the_committed_contract_is_read_whatever_the_file_says_now(
    folder: Path, payments_text: str
) -> None:
    (folder / "payments.odcs.yaml").write_text(payments_text.replace("1.0.0", "1.1.0"))
    assert [c.version for c in contracts_at("HEAD", folder).contracts] == ["1.0.0"]


def test_a_contract_whose_file_is_gone_is_still_in_the_past(folder: Path) -> None:
    (folder / "payments.odcs.yaml").unlink()
    assert [c.name for c in contracts_at("HEAD", folder).contracts] == ["payments"]


def test_any_commit_can_be_named(folder: Path, payments_text: str) -> None:
    (folder / "payments.odcs.yaml").write_text(payments_text.replace("1.0.0", "1.1.0"))
    git(folder, "commit", "--quiet", "-am", "second")
    assert [c.version for c in contracts_at("HEAD", folder).contracts] == ["1.1.0"]
    assert [c.version for c in contracts_at("one", folder).contracts] == ["1.0.0"]
    assert [c.version for c in contracts_at("HEAD~1", folder).contracts] == ["1.0.0"]


def test_a_file_that_was_no_valid_contract_is_told_not_compared(folder: Path) -> None:
    (folder / "payments.odcs.yaml").write_text("kind: broken\n")
    git(folder, "commit", "--quiet", "-am", "break it")
    past = contracts_at("HEAD", folder)
    assert past.contracts == ()
    assert "payments.odcs.yaml:1: contract.kind" in past.unreadable[0]


def test_an_unknown_commit_is_told(folder: Path) -> None:
    with pytest.raises(ContractError, match="git knows no commit `nowhere`"):
        contracts_at("nowhere", folder)


def test_an_option_in_place_of_a_commit_is_an_unknown_commit(folder: Path) -> None:
    with pytest.raises(ContractError, match="git knows no commit `--all`"):
        contracts_at("--all", folder)


def test_a_folder_outside_of_version_control_has_no_past(tmp_path: Path) -> None:
    with pytest.raises(UnversionedError, match="not a git repository"):
        contracts_at("HEAD", tmp_path)


def test_without_git_there_is_no_past(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnversionedError, match="git is not installed"):
        contracts_at("HEAD", folder)


def test_the_variables_of_a_commit_hook_do_not_mislead(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "elsewhere/.git")
    assert len(contracts_at("HEAD", folder).contracts) == 1
