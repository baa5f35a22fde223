"""Every metric of the writer: its name, its kind, its labels, and what it means.

Labels are bounded: contracts, topics, partitions, tables and reasons, of which there are few and
which a person has named. Never a tenant, a key, or anything from a payload.

``docs/reference/metrics.md`` is made from this file (`make docs`).
"""

from __future__ import annotations

from typing import Final

from ingest.metric import Definition

TOPIC: Final = ("contract", "topic")
PARTITION: Final = (*TOPIC, "partition")
"""Labels of what concerns one partition. A partition that goes to another writer takes its gauges
along; its counters stay, since they count what this process did."""

SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# -- what was written

MESSAGES: Final = Definition(
    "lakeward_writer_messages_total",
    "counter",
    TOPIC,
    "Messages whose fate is settled in the tables, as rows or as dead letters.",
)
"""Together with the lag this tells speed: its rate is what the writer gets done."""

ROWS: Final = Definition(
    "lakeward_writer_rows_total", "counter", TOPIC, "Rows committed to bronze."
)
"""Messages minus rows are dead letters."""

BYTES: Final = Definition(
    "lakeward_writer_payload_bytes_total",
    "counter",
    TOPIC,
    "Payload bytes of the batches that were flushed, keys and headers left out.",
)
"""As Kafka delivered them; what they take in a table is another number (table_size_bytes)."""

DEAD_LETTERS: Final = Definition(
    "lakeward_writer_dead_letters_total",
    "counter",
    (*TOPIC, "reason"),
    "Messages put into bronze.dead_letters, by reason (docs/concepts/decoding.md).",
)
"""A share of 50 % of 10,000 messages stops the writer (LAKEWARD_DEAD_LETTER_LIMIT), so an alert
should come well before. All reasons are there from the start, at 0."""

RESCUED_FIELDS: Final = Definition(
    "lakeward_writer_rescued_fields_total",
    "counter",
    TOPIC,
    "Members kept in _rescued because the contract does not know them or they do not fit.",
)
"""A sudden rise means that a producer changed before its contract did."""

# -- how far behind

LAG_MESSAGES: Final = Definition(
    "lakeward_writer_lag_messages",
    "gauge",
    PARTITION,
    "Offsets in Kafka that are not in the tables yet, as this writer last heard.",
)
"""Offsets, not messages to the letter: transaction markers count until the writer passes them.
Absent for a partition whose end was not heard yet."""

LAG_SECONDS: Final = Definition(
    "lakeward_writer_lag_seconds",
    "gauge",
    PARTITION,
    "Age of the oldest message in Kafka that is not in the tables yet; 0 when there is none.",
)
"""By the timestamp that Kafka keeps with the message, which may be the producer's claim. While
nothing of a backlog has been polled it is the time since this writer saw the backlog."""

PARTITIONS: Final = Definition(
    "lakeward_writer_partitions", "gauge", (), "Partitions this writer holds."
)
"""The sum over all writers of a name is the number of partitions; 0 is a standby."""

# -- how long it takes

FLUSH_SECONDS: Final = Definition(
    "lakeward_writer_flush_seconds",
    "histogram",
    TOPIC,
    "Time from handing a batch to the committer until it is in both tables, waiting included.",
    SECONDS,
)
"""Its count is the number of flushes. Much more than the commits take means that they queue."""

COMMIT_SECONDS: Final = Definition(
    "lakeward_writer_commit_seconds",
    "histogram",
    ("table",),
    "Time of one Delta commit with its rows, retries and the pauses between them included.",
    SECONDS,
)
"""Grows when the store is slow, or when commits conflict."""

# -- trouble

CONFLICTS: Final = Definition(
    "lakeward_writer_commit_conflicts_total",
    "counter",
    ("table",),
    "Commits that failed or whose answer was lost, so that the table was asked what it holds.",
)
"""A few are normal beside compaction or other writers; a steady rate is a store in trouble."""

FENCES: Final = Definition(
    "lakeward_writer_fences_total",
    "counter",
    PARTITION,
    "How often this writer found that another one had moved a partition, and dropped its part.",
)
"""Normal once at a rebalance; often means that two writers own a partition at a time."""

BUFFER_BYTES: Final = Definition(
    "lakeward_writer_buffer_bytes",
    "gauge",
    ("stage",),
    "Payload bytes in memory: polled (waiting for a flush) and committing (handed over).",
)
"""At twice LAKEWARD_FLUSH_BYTES in committing the writer pauses its partitions."""

PAUSED: Final = Definition(
    "lakeward_writer_paused",
    "gauge",
    (),
    "1 while polling is paused because the lake is too slow or away, else 0.",
)
"""Nothing is lost while it is 1; Kafka keeps the messages, and the lag grows."""

RULES_REFUSED: Final = Definition(
    "lakeward_writer_rules_refused",
    "gauge",
    (),
    "Changes of contracts or tenants that the running writer does not take; /readyz says why.",
)
"""It goes on by the rules it has. The log names each once, as rules_not_changed."""

LAKE_AVAILABLE: Final = Definition(
    "lakeward_writer_lake_available",
    "gauge",
    (),
    "1 when the lake answered at the last try, 0 when it did not.",
)
"""1 before the first try."""

READY: Final = Definition(
    "lakeward_writer_ready", "gauge", (), "1 when /readyz says 200, else 0; /readyz says why."
)
"""For an alert where nobody asks /readyz."""

CONTRACT: Final = Definition(
    "lakeward_writer_contract_info",
    "gauge",
    (*TOPIC, "version"),
    "Always 1; the labels say by which version of its contract a topic is decoded.",
)
"""Shows that a writer has taken a new version."""

# -- the tables

LAST_COMMIT: Final = Definition(
    "lakeward_writer_last_commit_timestamp_seconds",
    "gauge",
    ("table",),
    "When this writer last committed to the table, in seconds since 1970 (UTC).",
)
"""``time() - lakeward_writer_last_commit_timestamp_seconds`` is the age. Absent before the first
commit of this process. A quiet topic has no commits: judge the age together with the lag."""

TABLE_VERSION: Final = Definition(
    "lakeward_writer_table_version",
    "gauge",
    ("table",),
    "The table's Delta version as this writer last saw it.",
)
"""Commits of others (compaction, other writers) count from this writer's next commit on."""

TABLE_FILES: Final = Definition(
    "lakeward_writer_table_files",
    "gauge",
    ("table",),
    "Parquet files of the table's version.",
)
"""Counted from the open log after a commit, though not after each when there are many files (at the
latest 30 s later). Should fall again and again: `lakeward maintain` merges small files."""

TABLE_BYTES: Final = Definition(
    "lakeward_writer_table_size_bytes",
    "gauge",
    ("table",),
    "Size of those files.",
)
"""What vacuum still keeps of older versions is not counted."""

BUILD: Final = Definition(
    "lakeward_build_info", "gauge", ("version",), "Always 1; the label is lakeward's version."
)
"""To see which release wrote what."""

DEFINITIONS: Final = (
    MESSAGES,
    ROWS,
    BYTES,
    DEAD_LETTERS,
    RESCUED_FIELDS,
    LAG_MESSAGES,
    LAG_SECONDS,
    PARTITIONS,
    FLUSH_SECONDS,
    COMMIT_SECONDS,
    CONFLICTS,
    FENCES,
    BUFFER_BYTES,
    PAUSED,
    RULES_REFUSED,
    LAKE_AVAILABLE,
    READY,
    CONTRACT,
    LAST_COMMIT,
    TABLE_VERSION,
    TABLE_FILES,
    TABLE_BYTES,
    BUILD,
)
"""All of them, in the order of the reference page."""
