"""A YAML file with the line of every value, so that an error can point at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from ingest.errors import ContractError

Scalar: TypeAlias = object
"""A plain YAML value: str, int, float, bool, date, datetime or None."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file: a scalar, a list of nodes or a mapping to nodes."""

    value: Scalar | list[Node] | dict[str, Node]
    line: int
    """Counted from 1, as editors do."""
    raw: str = ""
    """A scalar as it is written in the file."""

    @property
    def described(self) -> str:
        """What a reader of an error message should be told is there."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if self.value is None:
            return "nothing"
        kind = {bool: " (a YAML boolean)", int: " (a number)", float: " (a number)"}
        return f"`{self.raw}`{kind.get(type(self.value), '')}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file."""

    line: int
    where: str
    """The field, as a path of names: ``clickstream.occurred_at.logicalType``."""
    message: str
    """What was expected and what is there."""


@dataclass(slots=True)
class Problems:
    """What is wrong with one file, collected so that all of it is told at once."""

    path: Path
    found: list[Problem] = field(default_factory=list)

    def add(self, line: int, where: str, message: str) -> None:
        """Note one problem."""
        self.found.append(Problem(line, where, message))

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self.found, key=lambda problem: problem.line))

    def raise_if_any(self) -> None:
        """Raise all that was found as one error, a line each, in the order of the file.

        Raises:
            ContractError: at least one problem was noted.
        """
        if not self.found:
            return
        lines = [f"{self.path}:{p.line}: {p.where}: {p.message}" for p in self]
        raise ContractError(
            "\n".join(lines),
            hint="docs/guides/add-a-contract.md shows a whole contract, key by key",
        )


def read_document(path: Path, text: str | None = None) -> Node:
    """Parse the YAML file at ``path``, or ``text`` as if it stood there.

    Raises:
        ContractError: the file cannot be read, is no UTF-8 or is no YAML.
    """
    problems = Problems(path)
    source = _read(path) if text is None else text
    try:
        root = yaml.compose(source, Loader=yaml.SafeLoader)
        node = None if root is None else _Builder(problems).build(root, path.name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        problem = error.problem or "this cannot be parsed"
        raise ContractError(f"{path}:{line}: expected YAML: {problem}") from error
    except yaml.YAMLError as error:
        raise ContractError(f"{path}:1: expected YAML: {error}") from error
    problems.raise_if_any()
    if node is None:
        raise ContractError(f"{path}:1: expected a data contract, the file is empty")
    return node


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ContractError(
            f"{path}:{line}: expected UTF-8 text, byte {error.start} is none",
            hint="save the file as UTF-8",
        ) from error
    except OSError as error:
        raise ContractError(f"{path}: cannot be read: {error.strerror}") from error


class _Builder:
    """Turns PyYAML's nodes into ours; PyYAML itself would drop lines and repeated keys."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._scalars = yaml.constructor.SafeConstructor()
        self._open: set[int] = set()

    def build(self, source: yaml.Node, where: str, line: int | None = None) -> Node:
        line = source.start_mark.line + 1 if line is None else line
        if id(source) in self._open:
            self._problems.add(line, where, "expected a value, this alias contains itself")
            return Node(None, line)
        self._open.add(id(source))
        try:
            return self._build(source, where, line)
        finally:
            self._open.remove(id(source))

    def _build(self, source: yaml.Node, where: str, line: int) -> Node:
        if isinstance(source, yaml.MappingNode):
            return Node(self._mapping(source, where), line)
        if isinstance(source, yaml.SequenceNode):
            items = [self.build(item, f"{where}[{i}]") for i, item in enumerate(source.value)]
            return Node(items, line)
        raw = str(source.value)
        try:
            value = self._scalars.construct_object(source)
        except (yaml.YAMLError, ValueError):
            self._problems.add(line, where, f"expected a plain value, found `{raw}`")
            value = None
        return Node(value, line, raw)

    def _mapping(self, source: yaml.MappingNode, where: str) -> dict[str, Node]:
        mapping: dict[str, Node] = {}
        for key_node, value_node in source.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add(line, where, "expected a name as key")
                continue
            key = str(key_node.value)
            if key in mapping:
                first = mapping[key].line
                self._problems.add(line, f"{where}.{key}", f"is given twice, first in line {first}")
                continue
            mapping[key] = self.build(value_node, f"{where}.{key}", line)
        return mapping
