"""A tenant is taken out: by the class, the command and the job; what comes late goes too."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from dagster import DagsterInstance
from deltalake import write_deltalake

from ingest.contracts.reasons import UNKNOWN_TENANT
from ingest.settings import IngestSettings
from ingest.tenants.access import open_directory, open_registry
from ingest.tenants.registry import Registry
from lake.audit import audit
from lake.erasure.deprovision import Deprovisioning
from lake.erasure.ledger import ErasureLedger
from lake.errors import ErasureError
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.decode import Decoder
from lake.writer.rules import rules_number
from orchestration.deprovision import deprovision_job, sweep_job
from tests.lake.writer.bench import CONTRACT, P0, Bench, BenchSink, batch, visit

KNOWN = frozenset({"acme", "globex"})


class Office:
    """A home with a registry of two tenants and a writer that goes by it."""

    def __init__(self, home: Path, lake: Lake | None = None) -> None:
        self.home = home
        self.ingest = IngestSettings(_env_file=None, home=home)
        self.settings = LakeSettings(_env_file=None, home=home)
        self.bench = Bench.at(home) if lake is None else Bench(lake)
        self.registry: Registry = open_registry(self.ingest)
        for name in sorted(KNOWN):
            self.registry.create(name, who="anna")
        self.registry.add_key("acme", who="anna")
        self.next = 0
        self.waited: list[float] = []

    @property
    def lake(self) -> Lake:
        return self.bench.lake

    def write(self) -> None:
        """A writer that has just looked into the registry takes ten messages."""
        with open_directory(self.ingest, refresh_seconds=None) as directory:
            known = directory.known_tenants()
        sink = BenchSink(
            Decoder(CONTRACT, known),
            rules_number(CONTRACT, known),
            self.bench.table("visits"),
            self.bench.table(DEAD_LETTERS),
            "lakeward",
            threading.RLock(),
        )
        held = self.bench.take_over(sink, P0)[P0]
        offsets = range(self.next, self.next + 10)
        tenants = ("acme", "globex")
        sink.write(batch((P0, held, [visit(P0, o, tenant_id=tenants[o % 2]) for o in offsets])))
        self.next += 10

    def work(self, **settings: str) -> Deprovisioning:
        chosen = self.settings.model_copy(update=settings)
        return Deprovisioning(
            self.registry, self.lake, chosen, [CONTRACT], sleep=self.waited.append
        )

    def count(self, table: str, tenant_id: str) -> int:
        rows = self.lake.open("bronze", table).to_pyarrow_table(columns=["tenant_id"])
        return rows["tenant_id"].to_pylist().count(tenant_id)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lakeward", "tenant", "deprovision", *arguments],
            env={"LAKEWARD_HOME": str(self.home), "PATH": "/usr/bin:/bin", "USER": "anna"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.write()
    return made


def test_a_tenant_is_suspended_erased_and_noted_and_its_keys_end(office: Office) -> None:
    certificate = office.work().run("acme", who="bert")
    assert len(office.waited) == 1
    assert 5 < office.waited[0] < 30
    assert office.count("visits", "acme") == 0
    assert office.count("visits", "globex") == 5
    assert office.registry.tenant("acme").tenant.status == "deprovisioned"
    assert office.registry.keys("acme")[0].revoked_at is not None
    *_, suspended, noted = office.registry.log("acme")
    assert (suspended.action, noted.action, noted.who) == ("suspend", "deprovision", "bert")
    assert noted.detail["certificate"] == json.loads(certificate.as_json())
    assert {t["table"]: t["rows"] for t in noted.detail["certificate"]["tables"]} == {
        "bronze.dead_letters": 0,
        "bronze.visits": 5,
    }


def test_its_events_that_come_after_the_suspension_are_dead_letters_and_erased_too(
    tmp_path: Path, make_lake: Callable[[], Lake]
) -> None:
    office = Office(tmp_path, make_lake())
    office.write()
    office.registry.suspend("acme", who="anna")
    office.write()
    letters = office.lake.open("bronze", DEAD_LETTERS).to_pyarrow_table()
    assert set(letters["reason"].to_pylist()) == {UNKNOWN_TENANT}
    office.work().run("acme", who="anna")
    assert (office.count(DEAD_LETTERS, "acme"), office.count("visits", "acme")) == (0, 0)

    office.write()  # was still in Kafka
    assert office.count(DEAD_LETTERS, "acme") == 5
    (late,) = office.work().sweep()
    assert late.rows == 5
    assert office.count(DEAD_LETTERS, "acme") == 0
    assert office.work().sweep() == []
    assert len(ErasureLedger(office.lake).certificates("acme")) == 2
    report = audit(office.lake)
    assert report.is_clean, report.findings
    assert (report.messages, report.rows, report.dead, report.erased) == (30, 15, 0, 15)


def test_a_run_that_died_before_the_registry_was_told_is_gone_on_with(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "deprovision", lambda *_: (_ for _ in ()).throw(OSError("away")))
        with pytest.raises(OSError, match="away"):
            office.work().run("acme", who="anna")
    assert office.registry.tenant("acme").tenant.status == "suspended"
    certificate = office.work().run("acme", who="anna")
    assert certificate.rows == 5
    assert office.registry.tenant("acme").tenant.status == "deprovisioned"
    assert ErasureLedger(office.lake).certificates() == [certificate]
    assert office.work().run("acme", who="anna") == certificate


def test_a_tenant_that_the_settings_name_is_refused(office: Office) -> None:
    with pytest.raises(ErasureError, match="LAKEWARD_TENANTS"):
        office.work(tenants="globex, acme").run("acme", who="anna")
    assert office.registry.tenant("acme").tenant.status == "active"


def test_the_dev_target_is_erased_too(office: Office) -> None:
    rows = pa.table({"tenant_id": ["acme", "globex"], "day": ["1", "1"], "n": [1, 2]})
    dev = office.home / "dev" / "lake" / "silver" / "events"
    write_deltalake(dev, rows, partition_by=["tenant_id", "day"])
    certificate = office.work().run("acme", who="anna")
    assert {t.table: t.rows for t in certificate.tables}["dev:silver.events"] == 1


def test_the_command_asks_for_confirmation_and_prints_the_certificate(office: Office) -> None:
    office.registry.suspend("acme", who="anna")
    for arguments in (["acme"], ["acme", "--confirm", "globex"]):
        refused = office.command(*arguments)
        assert refused.returncode == 2
        assert "cannot be undone" in " ".join(refused.stderr.split())
    assert office.count("visits", "acme") == 5
    done = office.command("acme", "--confirm", "acme", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 5
    assert office.count("visits", "acme") == 0


def test_the_jobs_do_the_same(office: Office) -> None:
    parts = (office.ingest, office.lake, office.settings.model_copy(update={"rules_seconds": 0.1}))
    office.registry.suspend("acme", who="anna")

    def run(confirm: str) -> bool:
        config = {"erase_the_tenant": {"config": {"tenant_id": "acme", "confirm": confirm}}}
        return (
            deprovision_job(*parts, [CONTRACT])
            .execute_in_process({"ops": config}, instance=instance, raise_on_error=False)
            .success
        )

    with DagsterInstance.ephemeral() as instance:
        assert not run("yes")
        assert office.count("visits", "acme") == 5
        assert run("acme")
        assert office.count("visits", "acme") == 0
        office.write()
        assert sweep_job(*parts, [CONTRACT]).execute_in_process(instance=instance).success
    assert office.count(DEAD_LETTERS, "acme") == 0
    assert office.registry.log("acme")[-1].who.startswith("dagster run ")
