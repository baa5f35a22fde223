"""A contract version that adds a field, while writers of the old one still run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import lake.writer.service
from ingest.contracts.model import Contract, Field
from lake.writer.contract_files import ContractFiles
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig, payload, wait

CHANNEL = """\
      - name: channel
        logicalType: string
        description: Where from.
"""


def produce(rig: Rig, count: int) -> None:
    """Write events with the field that only the new version knows."""
    ids = [f"e{len(rig.ledger) + n}" for n in range(count)]
    rig.kafka.produce(
        rig.topic,
        [
            (
                event_id,
                json.dumps(
                    {
                        "event_id": event_id,
                        "tenant_id": "acme",
                        "at": "2026-01-01T00:00:00Z",
                        "channel": f"c-{event_id}",
                    }
                ).encode(),
            )
            for event_id in ids
        ],
    )
    rig.ledger += ids


def rows(rig: Rig) -> list[dict[str, Any]]:
    names = ["event_id", "channel", "_rescued", "_contract_version"]
    table = rig.lake.open("bronze", "visits").to_pyarrow_table(columns=names)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def ids(rig: Rig, table: str) -> set[str]:
    """The event ids in a table; none when it is not there yet."""
    if not rig.lake.exists("bronze", table):
        return set()
    found = rig.lake.open("bronze", table).to_pyarrow_table(columns=["event_id"])
    return set(found["event_id"].to_pylist())


def test_writers_of_two_contract_versions_in_one_group_lose_and_double_nothing(
    kafka: KafkaForTest,
) -> None:
    rig = Rig.make(kafka, partitions=4, assignment="group", session_seconds=6.0)
    newer = replace(
        rig.contract,
        version="1.1.0",
        fields=(*rig.contract.fields, Field("channel", "channel", "string")),
    )
    with rig.writing() as old:
        produce(rig, 200)
        rig.wait_for_rows(200)
        with rig.writing(contracts=[newer]) as new:
            old.wait_for_partitions(2)
            new.wait_for_partitions(2)
            produce(rig, 400)
            rig.wait_for_rows(600)
            assert new.end().rows > 0
        old.wait_for_partitions(4)  # those of the newer one too: it is rolled back
        produce(rig, 200)
        rig.wait_for_rows(800)
        old.end()
    rig.assert_exactly_once()
    found = rows(rig)
    assert Counter(row["_contract_version"] for row in found).keys() == {"1.0.0", "1.1.0"}
    for row in found:
        channel = f"c-{row['event_id']}"
        if row["_contract_version"] == "1.1.0":
            assert (row["channel"], row["_rescued"]) == (channel, None)
        else:  # the field is kept all the same, and silver can take it from there
            assert (row["channel"], json.loads(row["_rescued"])) == (None, {"channel": channel})


def test_a_newer_version_is_taken_up_by_the_next_start(kafka: KafkaForTest) -> None:
    rig = Rig.make(kafka)
    produce(rig, 20)
    rig.drain()
    newer = replace(
        rig.contract,
        version="1.1.0",
        fields=(*rig.contract.fields, Field("channel", "channel", "string")),
    )
    produce(rig, 20)
    rig.drain(contracts=[newer])
    rig.assert_exactly_once()
    assert sum(row["channel"] is not None for row in rows(rig)) == 20


def test_a_running_writer_takes_up_contracts_and_tenants_as_they_change(
    kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: frozenset[str] | None = None
    monkeypatch.setattr(lake.writer.service, "known_tenants", lambda *_: lambda: known)
    rig = Rig.make(kafka, rules_seconds=0.1)
    text = rig.contract_file.read_text()
    files = ContractFiles(rig.contract_file.parent)
    mine = [contract for contract in files() if contract.name == "visits"]
    shipped = [contract.name for contract in files() if contract.name != "visits"]

    def again() -> list[Contract]:
        return [contract for contract in files() if contract.name not in shipped]

    with rig.writing(contracts=mine, contracts_again=again) as writer:
        produce(rig, 20)
        rig.wait_for_rows(20)
        rig.contract_file.write_text("broken")
        produce(rig, 20)
        rig.wait_for_rows(40)
        # two new files at once: a version with one field more, and a topic that nobody read
        topic = kafka.unique("orders")
        kafka.create_topic(topic, 1)
        orders = text.replace(rig.topic, topic).replace("name: visits", "name: orders")
        rig.contract_file.with_name("orders.odcs.yaml").write_text(orders)
        rig.contract_file.write_text(text.replace("1.0.0", "1.1.0") + CHANNEL)
        kafka.produce(topic, [("o", payload(f"o{n}")) for n in range(20)])
        wait(lambda: ids(rig, "orders") == {f"o{n}" for n in range(20)}, "the new topic")
        produce(rig, 20)
        rig.wait_for_rows(60)
        known = frozenset({"somebody else"})

        def is_refused() -> bool:
            produce(rig, 1)
            return rig.dead() > 0

        wait(is_refused, "a message of a tenant that is known no more to be refused")
        writer.end()
        known = None
    rig.drain(contracts=again())
    found = rows(rig)
    assert sum(row["channel"] is not None for row in found) >= 20
    assert {row["_contract_version"] for row in found} == {"1.0.0", "1.1.0"}
    report = rig.audit()
    assert report.is_clean, report.findings
    assert report.rows + report.dead == len(rig.ledger) + 20
