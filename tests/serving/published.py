"""A table of gold that changes as builds change it, and a consumer who rebuilds it from a topic."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from deltalake import DeltaTable, write_deltalake

from ingest.kafka import client_config
from lake.tables import Lake
from serving.mart import Mart
from serving.publish.run import Options, Published, publish
from serving.publish.target import Target
from tests.kafka_servers.topics import KafkaForTest

MART = Mart("fct_spend", ("tenant_id", "window_start", "campaign_id"))
SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("metric_date", pa.date32()),
        ("window_start", pa.timestamp("us", tz="UTC")),
        ("campaign_id", pa.string()),
        ("click_count", pa.int64()),
        ("spend_usd", pa.decimal128(18, 4)),
        ("ctr", pa.float64()),
        ("is_paid", pa.bool_()),
    ]
)
TENANTS = ["acme", "o'neil & söhne/50%"]
CAMPAIGNS = ["spring", 'quoted "sale"', "línea\nbreak", None]
Row = dict[str, Any]


@dataclass
class Table:
    """The table, and what was done to it."""

    lake: Lake
    random: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def uri(self) -> str:
        return self.lake.uri("gold", MART.name)

    def open(self) -> DeltaTable:
        return DeltaTable(self.uri)

    def fill(self, tenant: str, day: date, count: int) -> list[Row]:
        """Make rows of one bucket; each call gives many as they were and changes some."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        rows = []
        for minute in range(count):
            for campaign in CAMPAIGNS:
                if self.random.random() < 0.1:
                    continue
                clicks = self.random.choice([0, 0, 0, 0, 1, 9_007_199_254_740_993])
                rows.append(
                    {
                        "tenant_id": tenant,
                        "metric_date": day,
                        "window_start": midnight + timedelta(minutes=minute, microseconds=minute),
                        "campaign_id": campaign,
                        "click_count": clicks,
                        "spend_usd": Decimal(clicks % 10_000) / 100,
                        "ctr": clicks / 3 if clicks else None,
                        "is_paid": bool(clicks),
                    }
                )
        return rows

    def overwrite(self, tenant: str, day: date, rows: list[Row]) -> None:
        """Replace a bucket, as a build does."""
        data = pa.Table.from_pylist(rows, schema=SCHEMA)
        if not DeltaTable.is_deltatable(self.uri):
            DeltaTable.create(self.uri, SCHEMA, partition_by=["tenant_id", "metric_date"])
        quoted = tenant.replace("'", "''")
        write_deltalake(
            self.open(),
            data,
            mode="overwrite",
            predicate=f"tenant_id = '{quoted}' and metric_date = '{day}'",
        )

    def rows(self) -> dict[str, Row]:
        """Return what a consumer should have, by key, made by other means than the publisher's."""
        return {
            json.dumps([as_told(row[name]) for name in MART.key]): {
                name: as_told(value) for name, value in row.items()
            }
            for row in self.open().to_pyarrow_table().to_pylist()
        }


def as_told(value: Any) -> Any:
    """Return a value as the guide says that it is in JSON."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


def send(
    kafka: KafkaForTest, table: Table, topic: str, *, mart: Mart = MART, **options: Any
) -> Published:
    """Publish once."""
    return publish(
        kafka.settings, table.lake, Target(mart, topic), Options(f"{topic}.at", **options)
    )


def committed(kafka: KafkaForTest, topic: str) -> list[Message]:
    """Return every message that a careful consumer sees, in the order of each partition."""
    partitions = kafka.admin.list_topics(timeout=30).topics[topic].partitions
    consumer = Consumer(
        {
            **client_config(kafka.settings),
            "group.id": kafka.unique("reader"),
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        found: list[Message] = []
        ended: set[int | None] = set()
        while len(ended) < len(partitions):
            message = consumer.poll(1)
            if message is None:
                continue
            error = message.error()
            if error is None:
                found.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended.add(message.partition())
        return found
    finally:
        consumer.close()


def rebuilt(messages: list[Message]) -> dict[str, Row]:
    """Return the table that a topic tells."""
    table: dict[str, Row] = {}
    for message in messages:
        key, value = message.key(), message.value()
        assert isinstance(key, bytes)
        name = json.dumps(list(json.loads(key).values()))
        if value is None:
            table.pop(name, None)
        else:
            table[name] = json.loads(value)
    return table
