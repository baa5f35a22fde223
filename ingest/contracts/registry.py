"""All contracts at once: the shipped ones and the user's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.contracts.loader import load_contract
from ingest.contracts.model import Contract
from ingest.contracts.names import TAKEN_TABLES
from ingest.errors import ContractError, UnknownContractError

SHIPPED = Path(__file__).parent
"""The folder of the contracts that come with lakeward."""

SUFFIX = ".odcs.yaml"


@dataclass(frozen=True, slots=True)
class ContractSet:
    """Contracts whose names and topics differ, in the order of their names."""

    contracts: tuple[Contract, ...]

    def __iter__(self) -> Iterator[Contract]:
        return iter(self.contracts)

    def __len__(self) -> int:
        return len(self.contracts)

    def __contains__(self, contract: object) -> bool:
        return contract in self.contracts

    def names(self) -> tuple[str, ...]:
        """The names, sorted."""
        return tuple(contract.name for contract in self.contracts)

    def topics(self) -> tuple[str, ...]:
        """The topics, in the order of the names."""
        return tuple(contract.topic for contract in self.contracts)

    def by_name(self, name: str) -> Contract:
        """Return the contract called ``name``.

        Raises:
            UnknownContractError: there is none; the hint lists those there are.
        """
        for contract in self.contracts:
            if contract.name == name:
                return contract
        raise _unknown("contract", name, self.names())

    def by_topic(self, topic: str) -> Contract:
        """Return the contract whose events are in ``topic``.

        Raises:
            UnknownContractError: there is none; the hint lists those there are.
        """
        for contract in self.contracts:
            if contract.topic == topic:
                return contract
        raise _unknown("contract for the topic", topic, self.topics())


def contract_files(extra_dir: Path | None) -> tuple[Path, ...]:
    """List the contract files, shipped ones first, each folder sorted by file name.

    Raises:
        ContractError: ``extra_dir`` is no folder.
    """
    if extra_dir is not None and not extra_dir.is_dir():
        raise ContractError(
            f"{extra_dir}: expected a folder of contracts, there is none",
            hint="make the folder, or correct LAKEWARD_CONTRACTS_DIR",
        )
    folders = [SHIPPED]
    if extra_dir is not None and extra_dir.resolve() != SHIPPED.resolve():
        folders.append(extra_dir)
    return tuple(path for folder in folders for path in sorted(folder.glob(f"*{SUFFIX}")))


def load_contracts(extra_dir: Path | None) -> ContractSet:
    """Read the shipped contracts and those in ``extra_dir``.

    Raises:
        ContractError: a file is wrong, or two files claim one name or one topic; all that is
            wrong in all files is told at once.
    """
    loaded: list[Contract] = []
    failures: list[str] = []
    hint: str | None = None
    for path in contract_files(extra_dir):
        try:
            loaded.append(load_contract(path))
        except ContractError as error:
            failures.append(error.message)
            hint = hint or error.hint
    failures.extend(_clashes(loaded))
    if failures:
        raise ContractError("\n".join(failures), hint=hint)
    return ContractSet(tuple(sorted(loaded, key=lambda contract: contract.name)))


def _clashes(contracts: list[Contract]) -> Iterator[str]:
    names: dict[str, Path | None] = {}
    topics: dict[str, Path | None] = {}
    for contract in contracts:
        if contract.name in TAKEN_TABLES:
            yield (
                f"{contract.path}: schema.name: expected another name, bronze.{contract.name} "
                "is lakeward's own table"
            )
        for what, value, seen in (
            ("name", contract.name, names),
            ("topic", contract.topic, topics),
        ):
            if value in seen:
                yield (
                    f"{contract.path}: expected a {what} of its own, `{value}` is that of "
                    f"{seen[value]}"
                )
            else:
                seen[value] = contract.path


def _unknown(what: str, name: str, known: tuple[str, ...]) -> UnknownContractError:
    close = difflib.get_close_matches(name, known, n=1)
    suggestion = f"did you mean {close[0]}? " if close else ""
    return UnknownContractError(
        f"there is no {what} `{name}`", hint=f"{suggestion}there are: {', '.join(known)}"
    )
