"""Reading plain values out of a document, with a problem noted for each that does not fit."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.contracts.document import Node, Problems
from ingest.contracts.names import why_no_identifier
from ingest.contracts.odcs import CUSTOM_KEYS

Keys = dict[str, Node]
"""A mapping of the file."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Each method returns what it finds; what is wrong is noted, and reading goes on.

    ``where`` names the part of the file for the error message, as a path of names.
    """

    problems: Problems

    def wrong(self, node: Node, where: str, message: str) -> None:
        """Note a problem at the line of ``node``."""
        self.problems.add(node.line, where, message)

    def mapping(self, node: Node, where: str, known: Iterable[str]) -> Keys | None:
        """Return a mapping; a key that is not ``known`` is a problem."""
        if not isinstance(node.value, dict):
            self.wrong(node, where, f"expected a mapping of keys, found {node.described}")
            return None
        for key, value in node.value.items():
            if key not in known:
                message = "expected a key of the Open Data Contract Standard"
                self.wrong(value, f"{where}.{key}", message + suggestion(key, known))
        return node.value

    def entries(self, node: Node | None, where: str) -> Iterator[tuple[str, Keys]]:
        """Yield the mappings of a list, each with its own ``where``; nothing when absent."""
        if node is None:
            return
        if not isinstance(node.value, list):
            self.wrong(node, where, f"expected a list, found {node.described}")
            return
        for index, item in enumerate(node.value):
            if isinstance(item.value, dict):
                yield f"{where}[{index}]", item.value
            else:
                self.wrong(item, f"{where}[{index}]", f"expected a mapping, found {item.described}")

    def custom(self, node: Node | None, where: str) -> Keys:
        """Return ``customProperties`` by the name of the property."""
        found: Keys = {}
        for place, entry in self.entries(node, where):
            for key, value in entry.items():
                if key not in CUSTOM_KEYS:
                    message = "expected `property` and `value`" + suggestion(key, CUSTOM_KEYS)
                    self.wrong(value, f"{place}.{key}", message)
            if "property" in entry and "value" in entry:
                found[entry["property"].raw] = entry["value"]
        return found

    def text(self, parent: Node, keys: Keys, key: str, where: str) -> str | None:
        """Return the text of a key that must be there."""
        if key not in keys:
            self.wrong(parent, f"{where}.{key}", "expected text, it is missing")
            return None
        return self.optional_text(keys, key, where)

    def optional_text(self, keys: Keys, key: str, where: str) -> str | None:
        """Return the text of a key that may be missing."""
        node = keys.get(key)
        if node is None:
            return None
        if isinstance(node.value, str) and node.value:
            return node.value
        quoted = f', as in `{key}: "{node.raw}"`' if node.raw else ""
        self.wrong(node, f"{where}.{key}", f"expected text, found {node.described}{quoted}")
        return None

    def prose(self, node: Node | None) -> str:
        """Return a description on one line, empty when absent."""
        return "" if node is None else " ".join(node.raw.split())

    def one_of(
        self, parent: Node, keys: Keys, key: str, choices: Sequence[str], where: str
    ) -> str | None:
        """Return the value of a key that must be one of ``choices``."""
        node = keys.get(key)
        expected = "expected " + ("one of " if len(choices) > 1 else "") + ", ".join(choices)
        if node is None:
            self.wrong(parent, f"{where}.{key}", f"{expected}; it is missing")
            return None
        if node.value not in choices:
            message = f"{expected}; found {node.described}" + suggestion(node.raw, choices)
            self.wrong(node, f"{where}.{key}", message)
            return None
        return node.raw

    def flag(self, keys: Keys, key: str, where: str) -> bool:
        """Return a boolean, false when absent."""
        node = keys.get(key)
        if node is None:
            return False
        if not isinstance(node.value, bool):
            message = f"expected true or false, found {node.described}"
            self.wrong(node, f"{where}.{key}", message)
        return node.value is True

    def positive(self, node: Node | None) -> int | None:
        """Return a whole number of at least 1; None for anything else, with nothing noted."""
        if node is None or not isinstance(node.value, int) or isinstance(node.value, bool):
            return None
        return node.value if node.value >= 1 else None

    def identifier(self, node: Node, where: str, name: str) -> None:
        """Note a problem when ``name`` cannot be a table or a column."""
        expected = why_no_identifier(name)
        if expected is not None:
            self.wrong(node, where, f"expected {expected}, found `{name}`")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question after the nearest known name, or nothing when none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
