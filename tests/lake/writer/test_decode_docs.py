"""docs/concepts/decoding.md is held to the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from ingest.contracts.json_text import MAX_DEPTH
from ingest.contracts.model import FieldKind
from ingest.contracts.reasons import REASONS

PAGE = (Path(__file__).parents[3] / "docs/concepts/decoding.md").read_text()


def _first_cells(heading: str) -> list[str]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_the_page_has_every_reason_in_the_order_they_are_looked_for() -> None:
    assert tuple(_first_cells("Dead letters")) == REASONS


def test_the_page_has_every_type() -> None:
    assert tuple(_first_cells("What fits a column")) == get_args(FieldKind)


def test_the_page_names_the_deepest_nesting() -> None:
    assert f"more than {MAX_DEPTH} deep" in PAGE
