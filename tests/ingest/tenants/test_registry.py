"""The registry keeps what it is told, on SQLite and PostgreSQL, and writes down each change."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from ingest.errors import RegistryError, TenantError
from ingest.tenants.database import Database
from ingest.tenants.directory import TenantDirectory
from ingest.tenants.model import Privacy, Quota, Tenant
from ingest.tenants.registry import ALLOWED, Registry
from ingest.tenants.tables import METADATA
from tests.databases.postgres import Postgres

ANNA = "anna"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def actions(registry: Registry) -> list[tuple[str, str]]:
    return [(entry.who, entry.action) for entry in registry.log()]


def test_the_migrations_make_the_tables_that_the_program_knows(registry: Registry) -> None:
    with registry.database.reading() as connection:
        options = {
            "version_table": "registry_version",
            "compare_type": True,
            "include_name": lambda name, kind, _: (kind, name) != ("table", "registry_version"),
        }
        found = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
    assert found == []
    assert registry.database.migrate() == []


def test_a_tenant_is_what_was_said_of_it(registry: Registry) -> None:
    privacy, quota = Privacy("drop", "keep"), Quota(12.5, 40, 0.5)
    made = registry.create("acme", "Acme Ltd", who=ANNA, privacy=privacy, quota=quota)
    assert made == Tenant("acme", "Acme Ltd", "active", privacy, quota)
    changed = registry.set("acme", who=ANNA, privacy={"ip": "keep"}, quota={"burst": 7})
    assert changed.privacy == Privacy("keep", "keep")
    assert changed.quota == Quota(12.5, 7, 0.5)
    assert registry.tenant("acme").tenant == changed
    assert registry.read(None).tenants == {"acme": changed}
    *_, last = registry.log("acme")
    assert last.detail == {"from": {"ip": "drop", "burst": 40}, "to": {"ip": "keep", "burst": 7}}
    with pytest.raises(TenantError, match="nothing of acme would change"):
        registry.set("acme", who=ANNA, quota={"burst": 7})


def test_a_key_lives_until_it_is_replaced_or_revoked(database_url: str) -> None:
    now = NOON
    database = Database(database_url)
    database.migrate()
    registry = Registry(database, now=lambda: now)
    registry.create("acme", who=ANNA)
    first = registry.add_key("acme", "web", who=ANNA, contracts={"clickstream"})
    with TenantDirectory(registry.read, refresh_seconds=None, now=lambda: now) as directory:
        second = registry.rotate_key("acme", "web", who=ANNA, grace=timedelta(hours=1))
        directory.reload()
        for made in (first, second):
            key = directory.authenticate(made.secret)
            assert key is not None
            assert (key.key_id, key.name, key.contracts) == (made.key_id, "web", {"clickstream"})
        with pytest.raises(TenantError, match="was replaced already"):
            registry.rotate_key("acme", first.key_id, who=ANNA)
        now += timedelta(hours=1)
        assert directory.authenticate(first.secret) is None
        assert directory.authenticate(second.secret) is not None
        third = registry.rotate_key("acme", "web", who=ANNA)
        assert set(registry.revoke_key("acme", "web", who=ANNA)) == {second.key_id, third.key_id}
        directory.reload()
        assert [directory.authenticate(m.secret) for m in (first, second, third)] == [None] * 3
    states = {one.key.key_id: one.state(now) for one in registry.keys("acme")}
    assert states == {first.key_id: "ended", second.key_id: "revoked", third.key_id: "revoked"}
    with pytest.raises(TenantError, match="has no key 'web' that is taken"):
        registry.revoke_key("acme", "web", who=ANNA)
    registry.add_key("acme", "web", who=ANNA)  # the name is free again


def test_no_secret_is_stored(registry: Registry, database_url: str, tmp_path: Path) -> None:
    registry.create("acme", who=ANNA)
    made = registry.add_key("acme", who=ANNA)
    made = registry.rotate_key("acme", "default", who=ANNA)
    random = made.secret.split("_")[2]
    with registry.database.reading() as connection:
        for table in METADATA.sorted_tables:
            assert random not in repr(connection.execute(table.select()).all())
    for file in tmp_path.glob("tenants.db*"):
        assert random.encode() not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_status_changes_only_as_it_may(registry: Registry) -> None:
    registry.create("acme", who=ANNA, status="pending")
    for refused in (registry.suspend, registry.resume):
        with pytest.raises(TenantError, match="acme is pending, not"):
            refused("acme", who=ANNA)
    registry.activate("acme", who=ANNA)
    with pytest.raises(TenantError, match="acme is active, not pending or suspended"):
        registry.deprovision("acme", {}, ANNA)
    registry.suspend("acme", who=ANNA, reason="invoice")
    registry.resume("acme", who=ANNA)
    registry.suspend("acme", who="bert")
    key = registry.add_key("acme", who="bert")
    registry.deprovision("acme", {"silver.stg_clickstream": 12}, "bert")
    assert registry.tenant("acme").tenant.status == "deprovisioned"
    assert key.key_id not in registry.read(None).keys
    for change in (registry.activate, registry.suspend, registry.resume, registry.add_key):
        with pytest.raises(TenantError, match="acme is deprovisioned"):
            change("acme", who=ANNA)
    with pytest.raises(TenantError, match="a tenant acme already"):
        registry.create("acme", who=ANNA)
    *_, last = registry.log()
    assert last.detail["certificate"] == {"silver.stg_clickstream": 12}
    assert last.detail["revoked"] == [key.key_id]
    assert actions(registry) == [
        (ANNA, "create"), (ANNA, "activate"), (ANNA, "suspend"), (ANNA, "resume"),
        ("bert", "suspend"), ("bert", "add-key"), ("bert", "deprovision"),
    ]  # fmt: skip


def test_an_active_tenant_is_never_deprovisioned_at_once() -> None:
    assert "deprovisioned" not in ALLOWED["active"]


@pytest.mark.parametrize("tenant_id", ["", "Acme", "a b", "../x", "-a", "a" * 64, "tenant=1", "é"])
def test_an_id_that_cannot_name_a_folder_is_refused(registry: Registry, tenant_id: str) -> None:
    with pytest.raises(TenantError, match="cannot be the id"):
        registry.create(tenant_id, who=ANNA)
    assert registry.log() == []


def test_a_change_that_fails_leaves_nothing(registry: Registry) -> None:
    registry.create("acme", who=ANNA)
    before = registry.read(None)
    for change in (
        lambda: registry.create("acme", who=ANNA),
        lambda: registry.set("acme", who=ANNA, quota={"burst": 0}),
        lambda: registry.set("acme", who=ANNA, name="x" * 201),
        lambda: registry.create("other", "two\nlines", who=ANNA),
        lambda: registry.add_key("acme", "no good", who=ANNA),
        lambda: registry.add_key("acme", who=ANNA, contracts=set()),
        lambda: registry.add_key("nobody", who=ANNA),
        lambda: registry.rotate_key("acme", "web", who=ANNA),
    ):
        with pytest.raises(TenantError):
            change()
    assert registry.read(before) is before
    assert actions(registry) == [(ANNA, "create")]


def test_the_audit_log_can_only_grow(registry: Registry) -> None:
    registry.create("acme", who=ANNA)
    statements = ["update audit_log set who = 'nobody'", "delete from audit_log"]
    if registry.database.is_postgresql:
        statements.append("truncate audit_log")
    for statement in statements:
        with (
            pytest.raises(RegistryError, match="append-only") as caught,
            registry.database.changing() as connection,
        ):
            connection.execute(text(statement))
        assert isinstance(caught.value.__cause__, DatabaseError)
    assert actions(registry) == [(ANNA, "create")]


def test_changes_made_at_once_are_all_written_down(database_url: str) -> None:
    """Also from an empty database: those who meet there make its tables once."""

    def work(number: int) -> None:
        mine = Registry(Database(database_url))
        mine.database.migrate()
        mine.create(f"t{number}", who=f"w{number}")
        for _ in range(3):
            mine.suspend(f"t{number}", who=f"w{number}")
            mine.resume(f"t{number}", who=f"w{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    registry = Registry(Database(database_url))
    assert len(registry.log()) == 4 * 7
    assert registry.read(None).revision == 4 * 7


def test_postgresql_is_only_migrated_when_asked(postgres: Postgres) -> None:
    registry = Registry(Database(postgres.make_database("not_asked")))
    with pytest.raises(RegistryError) as caught:
        registry.create("acme", who=ANNA)
    assert "lakeward tenant migrate" in str(caught.value)
    assert registry.database.migrate() == ["0001"]
    registry.create("acme", who=ANNA)


def test_who_only_reads_needs_no_right_but_select(postgres: Postgres) -> None:
    url = postgres.make_database("rights")
    registry = Registry(Database(url))
    registry.database.migrate()
    registry.create("acme", who=ANNA)
    with registry.database.changing() as connection:
        connection.execute(text("create role collector login"))
        connection.execute(text("grant select on all tables in schema public to collector"))
    reader = Registry(Database(url.replace("postgres@", "collector@")))
    with TenantDirectory(reader.read, refresh_seconds=None) as directory:
        assert directory.known_tenants() == {"acme"}
    with pytest.raises(RegistryError, match="permission denied"):
        reader.suspend("acme", who="collector")


def test_a_registry_of_a_newer_release_is_left_alone(registry: Registry, database_url: str) -> None:
    registry.create("acme", who=ANNA)
    with registry.database.changing() as connection:
        connection.execute(text("update registry_version set version_num = '9999'"))
    with pytest.raises(RegistryError, match="newer release"):
        Registry(Database(database_url)).tenants()
    with pytest.raises(RegistryError, match="newer release"):
        Database(database_url).migrate()


def test_the_directory_outlives_a_postgresql_that_is_away(postgres: Postgres) -> None:
    url = postgres.make_database("away")
    Database(url).migrate()
    registry = Registry(Database(url))
    registry.create("acme", who=ANNA)
    made = registry.add_key("acme", who=ANNA)
    with TenantDirectory(Registry(Database(url)).read, refresh_seconds=None) as directory:
        postgres.stop()
        try:
            with pytest.raises(RegistryError, match="cannot be used"):
                directory.reload()
            assert directory.known_tenants() == {"acme"}
            assert directory.authenticate(made.secret) is not None
        finally:
            postgres.start()
        registry.suspend("acme", who=ANNA)
        directory.reload()
        assert directory.known_tenants() == frozenset()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://root:hunter2@host/x", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(RegistryError) as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    database = Database(f"postgresql://anna:hunter2@/x?host={tmp_path}")
    with pytest.raises(RegistryError, match="cannot be used") as caught:
        Registry(database).tenants()
    assert "hunter2" not in str(caught.value)
    assert "anna" in str(caught.value)
