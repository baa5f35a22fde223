"""Dead letters on a Kafka topic, for consumers that do not read Delta.

The table is followed by its versions, as models follow their upstreams: what commits added since
the version that was mirrored last is sent, and when Kafka has acknowledged all of it, that version
is written down as a transaction id of ``ops.dead_letter_history``. So it goes on where it was, and
a letter is sent *at least once*: a mirror that dies in between sends the last letters again. Each
message's key is the letter's address with the topic's id, by which a consumer can drop what it has
seen. The first time, and when the log of the version that was sent last is gone, all are sent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from ingest.contracts.model import Contract
from ingest.kafka import ensure_topics
from ingest.publisher import Publisher
from ingest.settings import IngestSettings
from lake.dead_letters.export import as_document
from lake.dead_letters.history import SCHEMA, history_target
from lake.delta_log import LogGoneError, locate_files, read_changes
from lake.schema import dead_letter_schema
from lake.tables import DEAD_LETTERS, Lake

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What one look sent."""

    letters: int
    from_version: int | None
    """The version up to which it had been sent before; None: never."""
    to_version: int


def mirror(
    ingest: IngestSettings,
    lake: Lake,
    topic: str,
    *,
    on_progress: Callable[[int], None] = lambda count: None,  # noqa: ARG005
) -> Mirrored:
    """Send the letters that came since the last time to a topic, which is made when missing.

    Args:
        ingest: which broker.
        lake: which lake.
        topic: where to.
        on_progress: called with how many letters were handed over.

    Raises:
        MissingTableError: no writer has run yet.
        BrokerError: Kafka does not answer.
        DeliveryError: Kafka did not take all; the next run sends them again.
    """
    table = lake.open("bronze", DEAD_LETTERS)
    app_id = f"mirror:{topic}:{table.metadata().id}"
    store = history_target(lake).open()
    seen = store.transaction_version(app_id)
    files = _new_files(lake, table, seen)
    target = Contract(
        name=DEAD_LETTERS,
        version="1.0.0",
        topic=topic,
        owner="lakeward",
        description="Dead letters of every contract.",
        fields=(),
        key=(),
        event_time="",
        message_key=(),
    )
    count = 0
    if files:
        ensure_topics(ingest, [target])
        with Publisher(ingest, [target]) as publisher:
            for row in _rows(lake, files):
                publisher.send(DEAD_LETTERS, message_key(row), message(row))
                count += 1
                on_progress(count)
    if seen != table.version():
        try:
            write_deltalake(
                store,
                SCHEMA.empty_table(),
                mode="append",
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(app_id, table.version())]
                ),
            )
        except CommitFailedError:
            logger.info("mirrored_by_another", extra={"topic": topic})
    return Mirrored(count, seen, table.version())


def _new_files(lake: Lake, table: DeltaTable, seen: int | None) -> list[str]:
    """Return the files that came since a version: all, where nobody can tell any more."""
    if seen is not None:
        try:
            changes = read_changes(table, seen, lake.storage_options)
            return locate_files(table, changes.added, lake.storage_options)
        except LogGoneError as gone:
            logger.warning("mirrored_anew", extra={"after_version": seen, "why": str(gone)})
    return list(table.file_uris())


def message_key(row: dict[str, Any]) -> bytes:
    """Return what names a letter for ever: ``topic:topic id:partition:offset``."""
    names = ("_topic", "_topic_id", "_partition", "_offset")
    return ":".join(str(row[name]) for name in names).encode()


def message(row: dict[str, Any]) -> bytes:
    """Return a letter as JSON, bytes in base64."""
    return json.dumps(as_document(row), ensure_ascii=False).encode()


def _rows(lake: Lake, files: list[str]) -> Iterator[dict[str, Any]]:
    schema = pa.schema([f for f in dead_letter_schema() if f.name != "_ingest_date"])
    filesystem = None
    if lake.is_remote:
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import PyFileSystem

        root = lake.uri("bronze", DEAD_LETTERS)
        filesystem = PyFileSystem(DeltaStorageHandler(root, lake.storage_options))
        files = [file.removeprefix(f"{root}/") for file in files]
    dataset = pads.dataset(files, schema=schema, format="parquet", filesystem=filesystem)
    for batch in dataset.to_batches(batch_size=ROWS_AT_ONCE):
        yield from batch.to_pylist()
