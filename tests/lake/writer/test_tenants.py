"""Who writes straight to Kafka gets no further than its tenant may, as the registry says it now."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ingest.errors import RegistryError
from ingest.settings import IngestSettings
from ingest.tenants.access import default_file, open_registry
from ingest.tenants.registry import Registry
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS
from lake.writer.known_tenants import known_tenants
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig, wait

ANNA = "anna"


def produce(rig: Rig, tenant_id: object, *event_ids: str) -> None:
    moment = "2026-01-01T00:00:00Z"
    rig.kafka.produce(
        rig.topic,
        [
            (one, json.dumps({"event_id": one, "tenant_id": tenant_id, "at": moment}).encode())
            for one in event_ids
        ],
    )
    rig.ledger += event_ids


def dead_letters(rig: Rig) -> dict[str, str]:
    """The reason of each dead letter, by the id of its event."""
    if not rig.lake.exists("bronze", DEAD_LETTERS):
        return {}
    columns = ["payload", "reason"]
    found = rig.lake.open("bronze", DEAD_LETTERS).to_pyarrow_table(columns=columns).to_pylist()
    return {json.loads(one["payload"])["event_id"]: one["reason"] for one in found}


def test_a_running_writer_takes_only_the_events_of_tenants_that_are_active(
    kafka: KafkaForTest,
) -> None:
    rig = Rig.make(kafka, rules_seconds=0.2)
    registry = open_registry(kafka.settings)
    refused: set[str] = set()
    numbers = iter(range(10_000))

    def until_its_events(become: str) -> None:
        """Send acme's events, one after another, until one of them has that fate."""

        def sent() -> bool:
            one = f"acme-{next(numbers)}"
            produce(rig, "acme", one)
            wait(lambda: one in {*rig.ids(), *dead_letters(rig)}, one)
            return (one in rig.ids()) is (become == "rows")

        wait(sent, f"acme's events to become {become}")

    with rig.writing():
        produce(rig, "globex", "before-any-tenant")
        until_its_events("rows")
        registry.create("acme", who=ANNA, status="pending")
        until_its_events("dead letters")
        registry.activate("acme", who=ANNA)
        until_its_events("rows")
        strange = ["globex", "ACME", "acme ", "acme\u0000", "", "*", "a%", "' or 1=1 --", 7]
        refused |= {f"strange-{n}" for n in range(len(strange))}
        for n, tenant_id in enumerate(strange):
            produce(rig, tenant_id, f"strange-{n}")
        registry.suspend("acme", who=ANNA)
        until_its_events("dead letters")
        registry.resume("acme", who=ANNA)
        until_its_events("rows")
    rig.drain()
    landed, dead = rig.ids(), dead_letters(rig)
    assert landed + Counter(dead.keys()) == Counter(rig.ledger), "each once, in one of the two"
    assert landed["before-any-tenant"] == 1
    assert refused <= dead.keys()
    assert set(dead.values()) <= {"unknown_tenant", "invalid_required"}
    assert dead["strange-0"] == "unknown_tenant"
    report = rig.audit()
    assert report.is_clean, report.findings


def test_a_tenant_that_floods_while_suspended_does_not_stop_the_writer(
    embedded_kafka: KafkaForTest,
) -> None:
    rig = Rig.make(embedded_kafka, dead_letter_window=50)
    registry = open_registry(embedded_kafka.settings)
    registry.create("acme", who=ANNA)
    produce(rig, "globex", *(f"g{n}" for n in range(200)))
    produce(rig, "acme", "a")
    rig.drain()
    assert rig.ids() == {"a": 1}
    assert len(dead_letters(rig)) == 200


def settings_at(home: Path, **more: str) -> tuple[IngestSettings, LakeSettings]:
    ingest = {name: value for name, value in more.items() if name == "tenant_registry"}
    lake = {name: value for name, value in more.items() if name == "tenants"}
    return (
        IngestSettings(_env_file=None, home=home, **ingest),
        LakeSettings(_env_file=None, home=home, **lake),
    )


def test_the_setting_wins_over_the_registry(tmp_path: Path) -> None:
    open_registry(settings_at(tmp_path)[0]).create("acme", who=ANNA)
    assert known_tenants(*settings_at(tmp_path))() == {"acme"}
    assert known_tenants(*settings_at(tmp_path, tenants="globex, initech"))() == {
        "globex",
        "initech",
    }


def test_asking_makes_no_registry_and_sees_one_that_comes_later(tmp_path: Path) -> None:
    ingest, lake = settings_at(tmp_path)
    ask = known_tenants(ingest, lake)
    assert ask() is None
    assert list(tmp_path.iterdir()) == []
    registry = open_registry(ingest)
    registry.create("acme", who=ANNA)
    assert ask() == {"acme"}
    assert ask() is ask(), "nothing is loaded again while nothing changes"


def test_a_registry_that_vanishes_lets_nobody_in(tmp_path: Path) -> None:
    ingest, lake = settings_at(tmp_path)
    registry: Registry = open_registry(ingest)
    registry.create("acme", who=ANNA)
    ask = known_tenants(ingest, lake)
    default_file(ingest).unlink()
    with pytest.raises(RegistryError, match="gone or empty"):
        ask()


def test_a_writer_does_not_begin_without_the_registry_that_it_is_to_ask(tmp_path: Path) -> None:
    address = f"postgresql:///nothing?host={tmp_path}"
    with pytest.raises(RegistryError, match="cannot be used"):
        known_tenants(*settings_at(tmp_path, tenant_registry=address))
