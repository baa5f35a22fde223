"""The alert rules by Prometheus' own test runner, and that no alert is without its two tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "docker/prometheus"


def document(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return loaded


def alerts() -> list[dict[str, Any]]:
    rules = [rule for group in document("alerts.yml")["groups"] for rule in group["rules"]]
    return [rule for rule in rules if "alert" in rule]


def test_each_alert_is_tested_to_fire_and_to_stay_quiet() -> None:
    fires, quiet = set(), set()
    for test in document("alerts.test.yml")["tests"]:
        (one,) = test["alert_rule_test"]
        (fires if one["exp_alerts"] else quiet).add(one["alertname"])
    assert fires == quiet == {rule["alert"] for rule in alerts()}


def test_each_alert_is_explained_in_the_guide() -> None:
    guide = (FOLDER.parents[1] / "docs/guides/watch.md").read_text()
    for rule in alerts():
        assert f"| `{rule['alert']}` |" in guide


def test_promtool_finds_them_as_expected(prometheus: None) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    for arguments in (
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
        ("check", "config", "prometheus.yml"),
    ):
        done = subprocess.run(
            [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_wrong_would_be_found(prometheus: None, tmp_path: Path) -> None:
    text = (FOLDER / "alerts.yml").read_text()
    assert "> 10000" in text
    (tmp_path / "alerts.yml").write_text(text.replace("> 10000", "> 20000"))
    shutil.copy(FOLDER / "alerts.test.yml", tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts.test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "ConsumerLag" in done.stderr + done.stdout


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_each_alert_has_a_severity_and_says_what_it_is_about(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
