"""A contract version that adds a field, while writers of the old one still run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from ingest.contracts.model import Field
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig


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
