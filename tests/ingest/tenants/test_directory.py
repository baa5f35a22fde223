"""The directory answers from memory, stays right while the registry is away, and says so."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.errors import RegistryError
from ingest.tenants.directory import TenantDirectory
from ingest.tenants.model import Status, Tenant, WriteKey
from ingest.tenants.secret import NewSecret, new_secret
from ingest.tenants.snapshot import Snapshot, StoredKey

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Registry:
    """A registry in memory that can be away."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.is_away = False
        self.reads = 0
        self.was_read = threading.Event()

    def __call__(self, known: Snapshot | None) -> Snapshot:
        assert known is None or self.reads > 0
        self.reads += 1
        self.was_read.set()
        if self.is_away:
            raise RegistryError("away")
        return self.snapshot


def holding(status: Status, *secrets: NewSecret, expires_at: datetime | None = None) -> Snapshot:
    tenant = Tenant("acme", "Acme", status)
    keys = {
        one.key_id: StoredKey(WriteKey(one.key_id, "web", tenant), one.hash, expires_at)
        for one in secrets
    }
    return Snapshot(1, {"acme": tenant}, keys)


def test_a_secret_is_its_key_and_nothing_else_is() -> None:
    mine, revoked = new_secret(), new_secret()
    directory = TenantDirectory(Registry(holding("active", mine)), refresh_seconds=None)
    found = directory.authenticate(mine.secret)
    assert found is not None
    assert (found.key_id, found.tenant.tenant_id) == (mine.key_id, "acme")
    prefix, key_id, random = mine.secret.split("_")
    wrong = [
        "", "_", "__", "lw", f"lw_{key_id}", f"lw_{key_id}_", f"{prefix}_{key_id}_{random[:-1]}",
        mine.secret + "a", mine.secret.upper(), f" {mine.secret}", revoked.secret,
        f"lw_{key_id}_{revoked.secret.split('_')[2]}", f"lw_{revoked.key_id}_{random}",
        f"xx_{key_id}_{random}", mine.secret + "x" * 10_000, "lw_\udc80_\udc80",
        mine.hash.digest.hex(),
    ]  # fmt: skip
    assert [directory.authenticate(one) for one in wrong] == [None] * len(wrong)


def test_secrets_differ_and_are_not_in_what_is_stored() -> None:
    made = [new_secret() for _ in range(1000)]
    assert len({one.secret for one in made}) == len({one.hash for one in made}) == 1000
    random = made[0].secret.split("_")[2]
    assert random not in repr(made[0].hash)


def test_a_key_ends_when_its_time_is_over_though_the_registry_is_away() -> None:
    mine = new_secret()
    registry = Registry(holding("active", mine, expires_at=NOON))
    now = NOON - timedelta(seconds=1)
    directory = TenantDirectory(registry, refresh_seconds=None, now=lambda: now)
    registry.is_away = True
    assert directory.authenticate(mine.secret) is not None
    now = NOON
    assert directory.authenticate(mine.secret) is None


def test_lookups_do_not_read_the_registry() -> None:
    mine = new_secret()
    registry = Registry(holding("active", mine))
    directory = TenantDirectory(registry, refresh_seconds=None)
    for _ in range(100):
        directory.authenticate(mine.secret)
        directory.tenant("acme")
        directory.known_tenants()
    assert registry.reads == 1


@pytest.mark.parametrize(
    ("status", "known"),
    [("pending", set()), ("active", {"acme"}), ("suspended", set()), ("deprovisioned", set())],
)
def test_only_active_tenants_are_known(status: Status, known: set[str]) -> None:
    mine = new_secret()
    directory = TenantDirectory(Registry(holding(status, mine)), refresh_seconds=None)
    assert directory.known_tenants() == known
    key = directory.authenticate(mine.secret)
    assert key is not None
    assert key.may_send("clickstream") is (status == "active")


def test_a_key_sends_only_events_of_its_contracts() -> None:
    key = WriteKey("k", "web", Tenant("acme", "Acme", "active"), frozenset({"clickstream"}))
    assert key.may_send("clickstream")
    assert not key.may_send("conversions")
    assert replace(key, contracts=None).may_send("conversions")


def test_every_tenant_is_known_where_none_was_ever_registered() -> None:
    directory = TenantDirectory(Registry(Snapshot(None)), refresh_seconds=None)
    assert directory.known_tenants() is None
    assert directory.authenticate(new_secret().secret) is None


def test_what_is_known_stays_in_force_while_the_registry_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ingest.tenants")
    mine = new_secret()
    registry = Registry(holding("active", mine))
    seconds = 0.0
    with TenantDirectory(registry, refresh_seconds=0.005, clock=lambda: seconds) as directory:
        registry.is_away = True
        for seconds in (1.0, 20.0, 40.0):  # noqa: B007
            for _ in range(3):
                registry.was_read.clear()
                assert registry.was_read.wait(120)
        assert directory.known_tenants() == {"acme"}
        assert directory.authenticate(mine.secret) is not None
        assert directory.age_seconds >= 39
        registry.snapshot = holding("suspended", mine)
        registry.is_away = False
        while directory.known_tenants():
            registry.was_read.clear()
            assert registry.was_read.wait(120)
    said = [record.message for record in caplog.records]
    assert said == ["tenant_registry_away"] * 2 + ["tenant_registry_back"]
    assert directory.age_seconds < 1


def test_a_registry_that_lost_its_tenants_is_not_believed() -> None:
    registry = Registry(holding("suspended"))
    directory = TenantDirectory(registry, refresh_seconds=None)
    registry.snapshot = Snapshot(None)
    with pytest.raises(RegistryError, match="gone or empty"):
        directory.reload()
    assert directory.known_tenants() == frozenset()


def test_nobody_is_let_in_by_a_registry_that_was_never_read() -> None:
    registry = Registry(holding("active"))
    registry.is_away = True
    with pytest.raises(RegistryError):
        TenantDirectory(registry)
