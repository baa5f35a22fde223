"""The page of failures names tests that exist, and every failure of the writer and its storage."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/concepts/failures-covered.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[^`:]+)::(test_\w+)`", PAGE)))
ON_KAFKA = sorted(set(re.findall(r"K `(tests/[^`:]+)::(test_\w+)`", PAGE)))
FAILURES = [str(number) for number in range(1, 16)]


def functions(path: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    assert name in functions(path)


def test_each_failure_has_a_line_with_a_test() -> None:
    lines = dict(re.findall(r"^\| (\d+) \| (.+)$", PAGE, re.MULTILINE))
    assert list(lines) == FAILURES
    assert all("::test_" in line for line in lines.values())


@pytest.mark.parametrize(("path", "name"), ON_KAFKA)
def test_a_test_said_to_run_on_kafka_asks_for_one(path: str, name: str) -> None:
    asked = {argument.arg for argument in functions(path)[name].args.args}
    assert asked & {"kafka", "apache_kafka", "own_apache_kafka"}
