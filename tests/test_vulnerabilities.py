"""Continuous integration shows a known vulnerability, and does not take silence for safety."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import vulnerabilities
from tests.vulnerabilities import told

SAFE = {"name": "safe", "version": "1", "vulns": []}
WEAK = {
    "name": "weak",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}],
}
MIRRORED = {"name": "mirrored", "skip_reason": "Dependency not found on PyPI"}


def test_a_known_vulnerability_is_told_with_its_remedy() -> None:
    lines, code = told({"dependencies": [SAFE, WEAK]})
    assert lines[0] == "weak 2: PYSEC-1 CVE-1, mended in 3"
    assert code == 1


def test_packages_that_nobody_looked_up_are_not_called_safe() -> None:
    lines, code = told({"dependencies": [SAFE, MIRRORED]})
    assert lines[0].startswith("1 of 2 packages looked up")
    assert lines[1].startswith("NOT AUDITED: 1 packages, as mirrored")
    assert code == 0


def test_without_a_network_the_audit_says_so_and_fails_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = CompletedProcess([], 1, stdout="", stderr="Traceback ...\nConnectionError: no route")
    monkeypatch.setattr(vulnerabilities.subprocess, "run", lambda *_, **__: away)
    assert vulnerabilities.main() == 0
    said = capsys.readouterr().out
    assert said == "NOT AUDITED: pip-audit has no data here: ConnectionError: no route\n"


def test_continuous_integration_runs_it() -> None:
    root = Path(__file__).parents[1]
    assert "make vulnerabilities" in (root / ".ci" / "run").read_text()
    assert "-m tests.vulnerabilities" in (root / "Makefile").read_text()
