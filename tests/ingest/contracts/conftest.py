from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.contracts.loader import load_contract
from ingest.contracts.model import Contract

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def payments_text() -> str:
    """The contract that the guide tells users to write: it has a field of every type."""
    guide = (ROOT / "docs/guides/add-a-contract.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="session")
def payments(payments_text: str) -> Contract:
    return load_contract(Path("payments.odcs.yaml"), payments_text)


@pytest.fixture(scope="session")
def line_of(payments_text: str) -> Callable[[str], int]:
    """Return the line, counted from 1, of the only place that has ``text``."""

    def find(text: str) -> int:
        assert payments_text.count(text) == 1, text
        return payments_text[: payments_text.index(text)].count("\n") + 1

    return find
