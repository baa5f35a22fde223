"""Bring a topic to the newest version of a table of gold."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)
from deltalake import DeltaTable

from ingest.contracts.registry import load_contracts
from ingest.errors import LakewardError
from ingest.kafka import (
    admin_client,
    check_reachable,
    ensure_compacted_topic,
    is_embedded,
    topic_ids,
)
from ingest.settings import IngestSettings
from ingest.topics import REQUEST_TIMEOUT_S
from lake.delta_log import LogGoneError
from lake.duck import connect
from lake.tables import Lake
from serving.errors import PublishError
from serving.mart import LAYER
from serving.publish.difference import (
    TABLE_HEADER,
    VERSION_HEADER,
    Basis,
    Change,
    Counts,
    Difference,
)
from serving.publish.position import Position
from serving.publish.reading import read_position
from serving.publish.sender import Headers, Sender
from serving.publish.target import Target

logger = logging.getLogger(__name__)

MESSAGES_A_TRANSACTION: Final = 50_000
"""Kafka ends a transaction that is open for a minute; so many messages take seconds."""

OnProgress = Callable[[str, int, int | None], None]
"""What is being done, how much of it, and of how much."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to publish."""

    positions: str
    """The topic of the positions."""
    is_full: bool = False
    """Compare with the topic itself, whatever the position says."""
    is_dry: bool = False
    """Only count; send nothing, make no topic."""


@dataclass(frozen=True, slots=True)
class Published:
    """What one publication did, or would have done."""

    table: str
    topic: str
    from_version: int | None
    """The version that the topic held before; None: nobody knows."""
    to_version: int
    basis: Basis
    """What the table was compared with."""
    reason: str
    """Why with the topic; empty otherwise."""
    upserts: int
    tombstones: int
    is_exactly_once: bool
    """False on a broker without transactions."""
    is_dry: bool = False
    was_stopped: bool = False
    """Ended by its user: what is counted was sent, and the rest is left to the next time."""
    notes: tuple[str, ...] = ()

    @property
    def messages(self) -> int:
        """Rows and tombstones."""
        return self.upserts + self.tombstones


@dataclass(frozen=True, slots=True)
class _Topic:
    """The topic as it is now; without partitions when it is not there."""

    name: str
    topic_id: str
    partitions: int
    notes: tuple[str, ...] = ()


def publish(
    ingest: IngestSettings,
    lake: Lake,
    target: Target,
    options: Options,
    *,
    on_progress: OnProgress = lambda what, done, total: None,  # noqa: ARG005
    is_stopping: Callable[[], bool] = lambda: False,
) -> Published:
    """Send what differs between a table and its topic, rows as upserts and the rest as tombstones.

    Args:
        ingest: which broker.
        lake: which lake.
        target: which table, and which topic.
        options: how.
        on_progress: is told how far it is.
        is_stopping: asked often; True gives up the transaction that is open and returns.

    Raises:
        MissingTableError: the table is not there yet.
        MartError: its key is none.
        PublishError: the topic is of something else, has other partitions than before, or another
            publisher has begun.
        BrokerError: Kafka does not answer.
        TopicError: Kafka refuses to make a topic.
        DeliveryError: Kafka did not take all.
    """
    table = lake.open(LAYER, target.mart.name)
    _refuse_contract_topic(ingest, target.topic)
    check_reachable(ingest)
    admin = admin_client(ingest)
    is_exactly_once = not is_embedded(admin)
    if not options.is_dry:
        ensure_compacted_topic(ingest, target.topic, ingest.topic_partitions)
        ensure_compacted_topic(ingest, options.positions, 1)
    topic = _look_at(admin, target.topic, is_embedded=not is_exactly_once)
    sender = None
    if not options.is_dry:
        # before the position is read: from here on nobody else can move it
        sender = Sender(ingest, target.topic, is_transactional=is_exactly_once)
    position = None
    if _has_topic(admin, options.positions):
        position = read_position(ingest, options.positions, target.topic)
    _refuse_other(position, target, topic)
    before = None if position is None else position.version
    with tempfile.TemporaryDirectory(prefix="lakeward-publish-") as folder:
        cursor = connect(lake, Path(folder) / "changes.duckdb")
        try:
            difference = Difference(cursor, lake, target.mart, table)
            goal = Position(
                table=target.mart.label,
                table_id=str(table.metadata().id),
                version=table.version(),
                shape=difference.shape,
                topic_id=topic.topic_id,
                partitions=topic.partitions,
                is_complete=True,
            )
            done = Published(
                target.mart.label, topic.name, before, table.version(), "versions", "", 0, 0,
                is_exactly_once=is_exactly_once, is_dry=options.is_dry, notes=topic.notes,
            )  # fmt: skip
            if position == goal and not options.is_full:
                return done
            reason = "asked for" if options.is_full else None
            reason = reason or difference.why_not_by_version(position, topic.topic_id)
            counts = None
            if reason is None:
                assert position is not None
                try:
                    counts = difference.by_version(position.version)
                except LogGoneError as gone:
                    reason = f"version {position.version} cannot be compared any more: {gone}"
            if counts is None:
                assert reason is not None
                counts = difference.by_topic(
                    ingest,
                    topic.name,
                    topic.partitions,
                    on_read=lambda count: on_progress("reading the topic", count, None),
                    is_stopping=is_stopping,
                )
                done = replace(done, basis="topic", reason=reason)
            if sender is None:
                return replace(done, upserts=counts.upserts, tombstones=counts.tombstones)
            if is_stopping():
                return replace(done, was_stopped=True)
            try:
                sent = _send(
                    sender, difference.changes(), counts, goal, options.positions, target.topic,
                    on_progress, is_stopping,
                )  # fmt: skip
            except BaseException:
                with suppress(LakewardError):  # readers would wait for its end
                    sender.abort()
                raise
        finally:
            cursor.close()
    was_stopped = sent != counts
    if not was_stopped:
        _log(table, done, sent)
    return replace(done, upserts=sent.upserts, tombstones=sent.tombstones, was_stopped=was_stopped)


def _send(
    sender: Sender,
    changes: Iterable[Change],
    counts: Counts,
    goal: Position,
    positions: str,
    topic: str,
    on_progress: OnProgress,
    is_stopping: Callable[[], bool],
) -> Counts:
    """Send the changes, each transaction with the position that it leads to; return what was sent.

    All but the last one say that the version is incomplete: a publisher that finds such a position
    looks at the topic itself.
    """
    total = counts.upserts + counts.tombstones
    headers: Headers = [
        (TABLE_HEADER, goal.table.encode()),
        (VERSION_HEADER, str(goal.version).encode()),
    ]
    rows = iter(changes)
    sent = Counts(0, 0)
    while True:
        upserts = tombstones = 0
        sender.begin()
        for key, value in islice(rows, MESSAGES_A_TRANSACTION):
            sender.send(topic, key.encode(), None if value is None else value.encode(), headers)
            if value is None:
                tombstones += 1
            else:
                upserts += 1
            if (upserts + tombstones) % 1_000 == 0:
                on_progress("sending", sent.upserts + sent.tombstones + upserts + tombstones, total)
                if is_stopping():
                    sender.abort()
                    return sent
        after = Counts(sent.upserts + upserts, sent.tombstones + tombstones)
        is_last = after == counts
        position = replace(goal, is_complete=is_last)
        sender.send(positions, topic.encode(), position.to_bytes(), [])
        sender.commit()
        sent = after
        on_progress("sending", sent.upserts + sent.tombstones, total)
        if is_last:
            return sent
        if is_stopping():
            return sent


def _look_at(admin: AdminClient, name: str, *, is_embedded: bool) -> _Topic:
    found = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics.get(name)
    if found is None or found.error is not None:
        return _Topic(name, "", 0)
    notes = () if is_embedded else _notes_on(admin, name)
    return _Topic(name, topic_ids(admin, [name]).get(name, ""), len(found.partitions), notes)


def _has_topic(admin: AdminClient, name: str) -> bool:
    found = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics.get(name)
    return found is not None and found.error is None


def _notes_on(admin: AdminClient, name: str) -> tuple[str, ...]:
    """Say so when the topic would lose rows that did not change for a while."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    try:
        (future,) = admin.describe_configs([resource]).values()
        policy = str(future.result(REQUEST_TIMEOUT_S)["cleanup.policy"].value)
    except KafkaException as failure:
        return (f"it cannot be told whether {name!r} is compacted: {failure.args[0].str()}",)
    if policy == "compact":
        return ()
    return (
        f"the topic {name!r} has cleanup.policy={policy}: rows that do not change are deleted "
        "after a while; set it to compact",
    )


def _refuse_contract_topic(ingest: IngestSettings, topic: str) -> None:
    for contract in load_contracts(ingest.contracts_dir):
        if contract.topic == topic:
            raise PublishError(
                f"the topic {topic!r} is that of the contract {contract.name}",
                hint="What is published there would come back as events; take another topic.",
            )


def _refuse_other(position: Position | None, target: Target, topic: _Topic) -> None:
    if position is None or position.topic_id != topic.topic_id:
        return
    if position.table != target.mart.label:
        raise PublishError(
            f"the topic {topic.name!r} holds {position.table}, not {target.mart.label}",
            hint="Give each table a topic of its own, or delete the topic.",
        )
    if position.partitions != topic.partitions:
        raise PublishError(
            f"the topic {topic.name!r} had {position.partitions} partitions and has "
            f"{topic.partitions}: a key would have rows in two of them",
            hint="Delete the topic, and publish anew.",
        )


def _log(table: DeltaTable, done: Published, sent: Counts) -> None:
    logger.info(
        "published",
        extra={
            "table": done.table,
            "topic": done.topic,
            "version": table.version(),
            "basis": done.basis,
            "upserts": sent.upserts,
            "tombstones": sent.tombstones,
        },
    )
