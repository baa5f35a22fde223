"""``lakeward tenant`` as a person runs it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import lakeward.console
from ingest.errors import RegistryError, TenantError
from ingest.settings import IngestSettings
from ingest.tenants.access import open_directory
from lakeward.__main__ import build_app
from tests.databases.postgres import Postgres


class Terminal:
    """Runs commands in this process and keeps what they wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app = build_app()
        self.out, self.err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(lakeward.console, "console", Console(file=self.out, width=140))
        monkeypatch.setattr(lakeward.console, "errors", Console(file=self.err, width=140))

    def __call__(self, *arguments: str) -> str:
        """Run ``lakeward tenant``; return what it wrote to standard output."""
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        self._app(["tenant", *arguments], standalone_mode=False)
        return self.out.getvalue()

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKEWARD_HOME", str(tmp_path / "home"))
    return Terminal(monkeypatch)


def test_a_tenant_from_its_first_day_to_its_suspension(tenant: Terminal, tmp_path: Path) -> None:
    assert "every tenant is known" in tenant("list")
    assert not (tmp_path / "home").exists(), "looking makes nothing"
    secret = tenant("create", "acme", "--name", "Acme Ltd", "--who", "anna").strip()
    assert "This is the first tenant" in tenant.err.getvalue()
    assert secret not in tenant.err.getvalue()
    web = tenant.json("add-key", "acme", "web", "--contracts", "clickstream, app_events")
    rotated = tenant.json("rotate-key", "acme", "--grace", "12h")
    settings = IngestSettings(_env_file=None, home=tmp_path / "home")
    with open_directory(settings, refresh_seconds=None) as directory:
        for one in (secret, web["write_key"], rotated["write_key"]):
            key = directory.authenticate(one)
            assert key is not None
            assert key.may_send("app_events")
            assert key.may_send("conversions") is (one != web["write_key"])
        tenant("revoke-key", "acme", "default")
        tenant("suspend", "acme", "--reason", "invoice")
        directory.reload()
        assert directory.known_tenants() == frozenset()
        assert directory.authenticate(secret) is None
        assert directory.authenticate(rotated["write_key"]) is None
        assert directory.authenticate(web["write_key"]) is not None
    tenant("set", "acme", "--ip", "drop", "--burst", "5", "--key-requests-per-second", "2.5")
    (listed,) = tenant.json("list")
    assert (listed["status"], listed["privacy"]["ip"], listed["keys"]) == ("suspended", "drop", 1)
    assert listed["quota"] == {
        "requests_per_second": 500.0, "burst": 5, "key_requests_per_second": 2.5,
    }  # fmt: skip
    shown = tenant.json("show", "acme")
    assert {key["name"]: key["state"] for key in shown["keys"]} == {
        "default": "revoked",
        "web": "valid",
    }
    assert "2.5 requests/s a key" in tenant("show", "acme")
    entries = tenant.json("log", "acme")
    assert [entry["action"] for entry in entries] == [
        "create", "add-key", "add-key", "rotate-key", "revoke-key", "suspend", "set",
    ]  # fmt: skip
    assert entries[0]["who"] == entries[1]["who"] == "anna"
    assert "reason: invoice" in tenant("log")
    for words in (("list",), ("show", "acme"), ("log",), ("show", "acme", "--json")):
        said = tenant(*words)
        assert not any(one.split("_")[2] in said for one in (secret, web["write_key"]))


def test_a_pending_tenant_is_let_in_by_a_word(tenant: Terminal) -> None:
    tenant("create", "acme", "--pending")
    assert tenant.json("show", "acme")["status"] == "pending"
    tenant("activate", "acme")
    tenant("suspend", "acme")
    tenant("resume", "acme")
    assert tenant.json("show", "acme")["status"] == "active"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("show", "acme"), "no tenant was ever registered"),
        (("suspend", "acme"), "no tenant was ever registered"),
        (("create", "Acme"), "cannot be the id"),
        (("create", "acme", "--burst", "0"), "a quota is a positive number"),
        (("create", "acme", "--contracts", "clikstream"), "no contract `clikstream`"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_registered(
    tenant: Terminal, words: tuple[str, ...], why: str
) -> None:
    with pytest.raises(Exception, match=why) as caught:
        tenant(*words)
    assert getattr(caught.value, "hint", None)
    assert tenant.json("list") == []


def test_a_tenant_that_is_mistyped_is_told_who_there_is(tenant: Terminal) -> None:
    tenant("create", "acme")
    with pytest.raises(TenantError) as caught:
        tenant("suspend", "amce")
    assert caught.value.hint == "Tenants: acme."


def test_postgresql_asks_for_its_tables_and_gets_them(
    tenant: Terminal, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEWARD_TENANT_REGISTRY", postgres.make_database("command"))
    with pytest.raises(RegistryError, match="missing steps: 0001") as caught:
        tenant("create", "acme")
    assert "lakeward tenant migrate" in (caught.value.hint or "")
    assert "took the steps 0001" in tenant("migrate")
    tenant("create", "acme")
    assert "up to date already" in tenant("migrate")
    assert [one["tenant_id"] for one in tenant.json("list")] == ["acme"]
