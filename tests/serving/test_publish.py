"""Who reads a topic has the table: after changes, deletes, rewrites, erasures and accidents."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.erasure.belonging import Belonging
from lake.erasure.reach import Table as Erased
from lake.erasure.rewrite import TableErasure
from lake.tables import Lake
from serving.errors import MartError, PublishError
from serving.mart import Mart, load_mart
from serving.publish import run
from serving.publish.run import Options, publish
from serving.publish.target import Target, parse_targets
from tests.kafka_servers.topics import KafkaForTest
from tests.serving.published import MART, SCHEMA, TENANTS, Table, committed, rebuilt, send

DAYS = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(Lake(str(tmp_path / "lake")))


@pytest.fixture
def filled(table: Table) -> Table:
    for tenant in TENANTS:
        table.overwrite(tenant, DAYS[0], table.fill(tenant, DAYS[0], 5))
    return table


def test_a_consumer_has_the_table_and_got_only_what_changed(
    kafka: KafkaForTest, filled: Table
) -> None:
    table = filled
    topic = kafka.unique("results")
    before: dict[str, dict[str, object]] = {}
    seen = 0
    for step in range(7):
        for _ in range(table.random.randrange(1, 4)):
            tenant, day = table.random.choice(TENANTS), table.random.choice(DAYS)
            table.overwrite(tenant, day, table.fill(tenant, day, table.random.choice([0, 3, 5])))
        if step == 2:
            table.open().optimize.compact()
        if step == 4:
            table.open().restore(table.open().version() - 2)
        done = send(kafka, table, topic)
        after = table.rows()
        messages = committed(kafka, topic)
        assert rebuilt(messages) == after
        changed = {key for key, row in after.items() if before.get(key) != row}
        assert (done.upserts, done.tombstones) == (len(changed), len(before.keys() - after.keys()))
        assert len(messages) - seen == done.messages
        assert done.basis == ("topic" if step in (0, 4) else "versions")
        assert done.is_exactly_once == (kafka.kind == "apache")
        assert send(kafka, table, topic).messages == 0
        before, seen = after, len(messages)
    headers = dict(messages[-1].headers() or ())
    assert headers["lakeward.version"] == str(table.open().version()).encode()


def test_what_the_log_cannot_tell_is_told_by_the_topic(
    embedded_kafka: KafkaForTest, filled: Table
) -> None:
    kafka, table, topic = embedded_kafka, filled, embedded_kafka.unique("results")

    def published(reason: str) -> run.Published:
        done = send(kafka, table, topic)
        assert reason in done.reason
        assert rebuilt(committed(kafka, topic)) == table.rows()
        return done

    published("nothing was published before")

    files = [Path(path) for path in table.open().file_uris()]
    table.overwrite("acme", DAYS[0], table.fill("acme", DAYS[0], 4))
    for path in set(files) - {Path(path) for path in table.open().file_uris()}:
        path.unlink()
    published("1 of 1 files were vacuumed")

    erased = Erased(table.lake, "gold", MART.name, False, False)
    TableErasure(erased, Belonging("acme"), "id").run(
        None, lambda: datetime(2026, 4, 1, tzinfo=UTC)
    )
    done = published("a tenant was erased")
    assert (done.upserts, done.tombstones > 0) == (0, True)
    newest = {m.key(): m.value() for m in committed(kafka, topic)}
    assert not [key for key, value in newest.items() if value and b'"acme"' in (key or b"")]

    shutil.rmtree(table.uri)
    table.overwrite("acme", DAYS[1], table.fill("acme", DAYS[1], 3))
    published("was made anew")

    kafka.delete_topic(topic)
    done = published("the topic was made anew")
    assert done.upserts == len(table.rows())

    other = Mart(MART.name, (*MART.key, "metric_date"))
    assert "have changed" in send(kafka, table, topic, mart=other).reason
    assert send(kafka, table, topic).tombstones == len(table.rows())
    assert send(kafka, table, topic, is_full=True).messages == 0


def test_a_stopped_publication_goes_on_and_another_publisher_ends_the_first(
    apache_kafka: KafkaForTest, filled: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, table, topic = apache_kafka, filled, apache_kafka.unique("results")
    monkeypatch.setattr(run, "MESSAGES_A_TRANSACTION", 10)
    target, options = Target(MART, topic), Options(f"{topic}.at")
    told: list[int] = []
    done = publish(
        kafka.settings,
        table.lake,
        target,
        options,
        on_progress=lambda what, count, total: told.append(count),  # noqa: ARG005
        is_stopping=lambda: bool(told) and told[-1] >= 20,
    )
    assert done.was_stopped
    assert 0 < done.upserts == len(committed(kafka, topic)) < len(table.rows())

    def begin_another(what: str, count: int, total: int | None) -> None:
        monkeypatch.setattr(run, "MESSAGES_A_TRANSACTION", 50_000)
        send(kafka, table, topic)

    with pytest.raises(PublishError, match="another publisher"):
        publish(kafka.settings, table.lake, target, options, on_progress=begin_another)
    messages = committed(kafka, topic)
    assert rebuilt(messages) == table.rows()
    assert len(messages) == len(table.rows())


def test_a_dry_run_sends_nothing_and_makes_no_topic(
    embedded_kafka: KafkaForTest, filled: Table
) -> None:
    topic = embedded_kafka.unique("results")
    done = send(embedded_kafka, filled, topic, is_dry=True)
    assert done.upserts == len(filled.rows())
    assert topic not in embedded_kafka.admin.list_topics(timeout=30).topics


def test_a_topic_or_a_key_that_cannot_be_is_refused(
    embedded_kafka: KafkaForTest, filled: Table
) -> None:
    kafka, table = embedded_kafka, filled
    foreign = kafka.unique("foreign")
    kafka.create_topic(foreign)
    kafka.produce(foreign, [("somebody's", "message")])
    with pytest.raises(PublishError, match=r"not of gold.fct_spend \(partition 0, offset 0\)"):
        send(kafka, table, foreign)
    with pytest.raises(PublishError, match="that of the contract conversions"):
        send(kafka, table, "conversions")

    with pytest.raises(MartError, match="rows with the key"):
        send(kafka, table, kafka.unique("results"), mart=Mart(MART.name, ("tenant_id",)))
    with pytest.raises(MartError, match="no column nowhere"):
        send(kafka, table, kafka.unique("results"), mart=Mart(MART.name, ("nowhere",)))

    topic = kafka.unique("results")
    send(kafka, table, topic)
    write_deltalake(
        table.lake.uri("gold", "other"), pa.Table.from_pylist([], schema=SCHEMA), mode="append"
    )
    with pytest.raises(PublishError, match=r"holds gold.fct_spend, not gold.other"):
        send(kafka, table, topic, mart=Mart("other", MART.key))


def test_the_setting_names_tables_of_the_project_and_topics() -> None:
    (first, second) = parse_targets("fct_campaign_1m=results, gold.fct_funnel = funnel.daily")
    key = ("tenant_id", "window_start", "campaign_id", "channel")
    assert (first.mart.key, first.topic) == (key, "results")
    assert (second.mart, second.topic) == (load_mart("fct_funnel"), "funnel.daily")
    assert parse_targets("none") == []
    for text, says in (
        ("fct_funnel", "does not name a table and a topic"),
        ("fct_funnel=a b", "does not name a table and a topic"),
        ("fct_funnel=a,fct_geo=a", "named for two tables"),
    ):
        with pytest.raises(PublishError, match=says):
            parse_targets(text)
    with pytest.raises(MartError, match="no model 'fct_fun' in gold"):
        parse_targets("fct_fun=a")
