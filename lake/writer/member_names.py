"""The lists of member names that a topic's messages have: a handful, each judged once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lake.writer.bulk_sql import SEPARATOR

_MOST_REMEMBERED: Final = 2**20
"""Characters of names to remember; hostile messages must not fill the memory."""


@dataclass(frozen=True, slots=True)
class NameList:
    """The member names of some messages, in their order."""

    count: int
    """How many members the object has; -1 if a name is there twice."""
    unknown: tuple[str, ...]
    """Names that are in no field of the contract."""
    position: dict[str, int]


class NameLists:
    """Reads joined names, and remembers what it read."""

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known
        self._remembered: dict[str, NameList] = {}
        self._characters = 0

    def read(self, joined: str) -> NameList:
        """Return the list that was joined by ``SEPARATOR``.

        A name that contains the separator makes ``count`` differ from the object's own.
        """
        found = self._remembered.get(joined)
        if found is None:
            found = self._judged(joined.split(SEPARATOR))
            self._characters += len(joined)
            if self._characters > _MOST_REMEMBERED:
                self._remembered.clear()
                self._characters = len(joined)
            self._remembered[joined] = found
        return found

    def _judged(self, names: list[str]) -> NameList:
        position = {name: at for at, name in enumerate(names)}
        return NameList(
            count=len(names) if len(position) == len(names) else -1,
            unknown=tuple(name for name in names if name not in self._known),
            position=position,
        )
