"""What the dbt project declares about a table of gold: its key.

The key stands in the yml beside the model, as the test ``unique_key``, and nowhere else. It is read
from the file and not from dbt's manifest, which takes seconds to make.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lake.dbt_run import PROJECT
from lake.tables import Layer
from serving.errors import MartError

LAYER: Final[Layer] = "gold"
KEY_TEST: Final = "unique_key"


@dataclass(frozen=True, slots=True)
class Mart:
    """A table of gold, and what tells two of its rows apart."""

    name: str
    key: tuple[str, ...]
    """Columns; nulls in them count as alike."""

    @property
    def label(self) -> str:
        """``gold.<name>``."""
        return f"{LAYER}.{self.name}"

    def require_key(self, columns: Container[str]) -> None:
        """Make sure that a table has the columns of the key.

        Raises:
            MartError: it lacks one.
        """
        for name in self.key:
            if name not in columns:
                raise MartError(
                    f"{self.label} has no column {name}, which its key names",
                    hint="build it again: its model has changed",
                )


def load_mart(name: str, project: Path = PROJECT) -> Mart:
    """Return what ``project`` declares about a table of gold; ``gold.`` may stand before the name.

    Raises:
        MartError: there is no such model, or it declares no key.
    """
    name = name.removeprefix(f"{LAYER}.")
    folder = project / "models" / LAYER
    for path in sorted(folder.rglob("*.yml")):
        if path.stem == name:
            for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or ():
                if model["name"] == name:
                    return Mart(name, _key(model, path))
    known = ", ".join(sorted(path.stem for path in folder.rglob("*.sql")))
    raise MartError(f"there is no model {name!r} in gold", hint=f"there are: {known}")


def _key(model: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    for test in model.get("data_tests") or ():
        if isinstance(test, dict) and KEY_TEST in test:
            return tuple(test[KEY_TEST]["arguments"]["columns"])
    raise MartError(
        f"the model {model['name']} declares no key",
        hint=f"add the test {KEY_TEST} with its columns to {path}",
    )
