"""Contracts as they were at a commit."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ingest.contracts.loader import load_contract
from ingest.contracts.model import Contract
from ingest.contracts.registry import SUFFIX
from ingest.errors import ContractError


class UnversionedError(ContractError):
    """A folder has no past: it is under no version control, or git is not installed."""


@dataclass(frozen=True, slots=True)
class Past:
    """The contracts of one folder at a commit."""

    contracts: tuple[Contract, ...]
    unreadable: tuple[str, ...]
    """What is wrong with files of then that are no valid contracts, a line each."""


def contracts_at(ref: str, folder: Path) -> Past:
    """Read the contracts that ``folder`` had at ``ref``, a branch, tag or commit.

    Raises:
        UnversionedError: git finds no repository around ``folder``, or one without a commit; the
            message has the reason.
        ContractError: the repository has no commit ``ref``.
    """
    found = _run(folder, "rev-parse", "--show-toplevel")
    if isinstance(found, str):
        raise UnversionedError(f"{folder}: {found}")
    if found.returncode != 0:
        reason = found.stderr.decode("utf-8", "replace").strip().splitlines()[0]
        raise UnversionedError(f"{folder}: {reason}")
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if commit is None and ref == "HEAD":
        raise UnversionedError(f"{folder}: the repository has no commit yet")
    if commit is None:
        top = found.stdout.decode("utf-8", "replace").strip()
        raise ContractError(
            f"git knows no commit `{ref}` in {top}",
            hint="name a branch, tag or commit; a shallow clone has only the last one",
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
    """Return what git prints, None when it fails."""
    done = _run(folder, *arguments)
    if isinstance(done, str) or done.returncode != 0:
        return None
    return done.stdout.decode("utf-8", "replace")


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes] | str:
    """Run git in ``folder``; return why not when it is not installed.

    The ``GIT_*`` variables are left out: inside a commit hook they name the hook's repository,
    by paths that mean nothing in ``folder``.
    """
    command = ["git", "-C", str(folder), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603 - git with arguments of our own, no shell
            command, check=False, capture_output=True, env=environment
        )
    except FileNotFoundError:
        return "git is not installed"
