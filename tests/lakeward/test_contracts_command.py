"""``lakeward contracts`` as a person types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "ingest/contracts"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def payments_text() -> str:
    guide = (ROOT / "docs/guides/add-a-contract.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, payments_text: str) -> Path:
    """The user's own folder of contracts, under version control."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "payments.odcs.yaml").write_text(payments_text)
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture
def lakeward(folder: Path, tmp_path: Path) -> Run:
    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lakeward", "contracts", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "LAKEWARD_CONTRACTS_DIR": str(folder),
                "COLUMNS": "200",
                **settings,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "payments.odcs.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_list_has_the_shipped_contracts_and_the_users_own(lakeward: Run) -> None:
    shown = lakeward("list").stdout
    for topic in ("clickstream-events", "conversions", "payment-events"):
        assert topic in shown
    listed = json.loads(lakeward("list", "--json").stdout)
    assert [one["name"] for one in listed] == sorted(one["name"] for one in listed)
    assert len(listed) == 6


def test_show_tells_each_column_and_the_member_it_comes_from(lakeward: Run) -> None:
    shown = lakeward("show", "payments").stdout
    assert "payment-events" in shown
    assert re.search(r"occurred_at +time +yes +`time` in the payload\. When the payment", shown)
    assert "One of paid, failed." in shown


def test_show_writes_the_json_schema_for_producers(lakeward: Run) -> None:
    schema = json.loads(lakeward("show", "payments", "--format", "json-schema").stdout)
    assert schema["required"] == ["tenant_id", "payment_id", "customer_id", "time", "status"]


def test_show_writes_the_file_as_it_is_and_the_arrow_schema(
    lakeward: Run, payments_text: str
) -> None:
    assert lakeward("show", "payments", "-f", "odcs").stdout == payments_text
    assert "amount_usd: decimal128(18, 2)" in lakeward("show", "payments", "-f", "arrow").stdout


def test_an_unknown_contract_is_one_message_and_exit_code_2(lakeward: Run) -> None:
    done = lakeward("show", "payment")
    assert done.returncode == 2
    assert "there is no contract `payment`" in done.stderr
    assert "did you mean payments?" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_is_content_with_contracts_that_are_as_committed(lakeward: Run) -> None:
    done = lakeward("check", "--against", "HEAD")
    assert done.returncode == 0, done.stderr
    assert "6 contracts are valid, and nothing in them breaks HEAD" in done.stdout


def test_check_takes_an_addition_and_says_what_it_is(folder: Path, lakeward: Run) -> None:
    edit(folder, "version: 1.0.0", "version: 1.1.0")
    edit(
        folder, "slaProperties:", "      - name: note\n        logicalType: string\nslaProperties:"
    )
    done = lakeward("check")
    assert done.returncode == 0
    assert "compatible: payments.note: is new" in done.stdout


def test_check_refuses_a_breaking_change_with_the_reason(folder: Path, lakeward: Run) -> None:
    edit(folder, "version: 1.0.0", "version: 2.0.0")
    edit(folder, "logicalType: integer", "logicalType: string")
    done = lakeward("check")
    assert done.returncode == 2
    assert "payments.attempts: type changed from integer to string: stored values" in done.stderr
    assert "a new contract with a name and a topic of its own" in done.stderr


def test_check_refuses_a_contract_that_vanished(folder: Path, lakeward: Run) -> None:
    (folder / "payments.odcs.yaml").unlink()
    done = lakeward("check")
    assert done.returncode == 2
    assert "payments: is gone: nothing would read payment-events any more" in done.stderr


def test_check_compares_with_a_file_where_there_is_no_git(
    folder: Path, tmp_path: Path, lakeward: Run, payments_text: str
) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(payments_text.replace("        physicalName: time\n", ""))
    done = lakeward("check", "--against-file", str(old))
    assert done.returncode == 2
    assert "payload member changed from occurred_at to time" in done.stderr
    assert "clickstream" not in done.stderr


def test_check_says_so_when_it_could_not_compare(
    folder: Path, lakeward: Run, tmp_path: Path, payments_text: str
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "payments.odcs.yaml").write_text(payments_text)
    done = lakeward("check", LAKEWARD_CONTRACTS_DIR=str(plain))
    assert done.returncode == 0
    assert "not compared with HEAD:" in done.stderr
    assert "not a git repository" in done.stderr


def test_check_names_an_unknown_commit(lakeward: Run) -> None:
    done = lakeward("check", "--against", "no-such-branch")
    assert done.returncode == 2
    assert "git knows no commit `no-such-branch`" in done.stderr


def test_a_broken_contract_stops_every_command_with_file_and_line(
    folder: Path, lakeward: Run
) -> None:
    edit(folder, "logicalType: boolean", "logicalType: bool")
    for command in ("list", "check", "generate"):
        done = lakeward(command)
        assert done.returncode == 2
        assert "payments.odcs.yaml:59: payments.is_recurring.logicalType: expected" in done.stderr
    assert sorted(path.name for path in folder.glob("*.md")) == []


def test_a_folder_that_is_not_there_is_told(lakeward: Run, tmp_path: Path) -> None:
    done = lakeward("list", LAKEWARD_CONTRACTS_DIR=str(tmp_path / "none"))
    assert done.returncode == 2
    assert "expected a folder of contracts, there is none" in done.stderr


def test_generate_writes_what_follows_and_then_has_nothing_to_do(
    folder: Path, tmp_path: Path, lakeward: Run
) -> None:
    source = tmp_path / "source"
    (source / "dbt_project").mkdir(parents=True)
    (source / "pyproject.toml").touch()
    done = lakeward("generate", "--into", str(source))
    assert done.returncode == 0, done.stderr
    models = source / "dbt_project/models"
    assert "name: clickstream" in (models / "sources.yml").read_text()
    assert "payments" not in (models / "sources.yml").read_text()
    assert "name: payments" in (models / "sources_own.yml").read_text()
    assert "# payments" in (folder / "payments.md").read_text()
    again = lakeward("generate", "--into", str(source))
    assert "already what the contracts say" in again.stdout


def test_generate_needs_the_source_folder(tmp_path: Path, lakeward: Run) -> None:
    done = lakeward("generate", "--into", str(tmp_path))
    assert done.returncode == 2
    assert "expected lakeward's source folder" in done.stderr
