"""Contracts as they were at a commit."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from ingest.contracts.loader import load_contract
from ingest.contracts.model import Contract
from ingest.contracts.registry import SUFFIX
from ingest.errors import ContractError


@dataclass(frozen=True, slots=True)
class Past:
    """The contracts of one folder at a commit."""

    contracts: tuple[Contract, ...]
    unreadable: tuple[str, ...]
    """What is wrong with files of then that are no valid contracts, a line each."""


def contracts_at(ref: str, folder: Path) -> Past | None:
    """Read the contracts that ``folder`` had at ``ref``; None when it is under no version control.

    Raises:
        ContractError: git is there but does not know ``ref``.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if commit is None:
        raise ContractError(
            f"git knows no commit `{ref}` in {top.strip()}",
            hint="give --against a branch, tag or commit; a shallow clone has only the last one",
        )
    listed = _git(folder, "ls-tree", "-z", "--name-only", commit.strip(), "./") or ""
    contracts: list[Contract] = []
    unreadable: list[str] = []
    for name in sorted(Path(entry).name for entry in listed.split("\0") if entry):
        if not name.endswith(SUFFIX):
            continue
        text = _git(folder, "show", f"{commit.strip()}:./{name}")
        assert text is not None, "ls-tree has just listed it"
        try:
            contracts.append(load_contract(folder / name, text))
        except ContractError as error:
            unreadable.append(error.message)
    return Past(tuple(contracts), tuple(unreadable))


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, None when it fails or is not installed."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603
    except FileNotFoundError:
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
