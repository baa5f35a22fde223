"""All sinks of one process, made from its settings in one place."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import pyarrow as pa

from lake.schema import PARTITION_BY, bronze_schema, dead_letter_schema
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.commit import TransactionalTable
from lake.writer.decode import Decoder
from lake.writer.limit import DeadLetterLimit
from lake.writer.patience import Patience
from lake.writer.rules import Rules, rules_number
from lake.writer.sink import Sink
from lake.writer.source import Source
from lake.writer.target import Target
from lake.writer.watch import WriterWatch


class Sinks:
    """The sink of each topic, and what concerns several of them."""

    def __init__(
        self,
        lake: Lake,
        settings: LakeSettings,
        rules: Iterable[Rules],
        *,
        force: bool = False,
        patience: Patience | None = None,
        watch: WriterWatch | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open every table, after making or widening it where needed.

        Args:
            lake: where the tables are.
            settings: writer name, dead-letter limit.
            rules: one sink each.
            force: never stop at the dead-letter limit.
            patience: how long a commit is tried; None: a bounded number of times.
            watch: is told of commits.
            now: stamps the commits.
        """
        self._lake = lake
        self._settings = settings
        self._is_limited = not force
        self._patience = patience
        self._watch = watch
        self._now = now
        self.lock = threading.RLock()
        self.dead_letters = self._table(DEAD_LETTERS, dead_letter_schema())
        self._by_topic: dict[str, Sink] = {}
        for one in rules:
            self.change(one)

    def change(self, rules: Rules) -> None:
        """Put a topic under these rules, after making its table or widening it where needed.

        Nothing of the topic may be under way, and whoever holds its sources takes them over anew
        before the next commit.

        Raises:
            SchemaConflictError: a column of the table has another type; nothing has changed.
            LakewardError: the table cannot be made or opened; nothing has changed.
        """
        contract, settings = rules.contract, self._settings
        bronze = self._table(contract.name, bronze_schema(contract))
        limit = None
        if self._is_limited:
            limit = DeadLetterLimit(
                contract.name, settings.dead_letter_limit, settings.dead_letter_window
            )
        self._by_topic[contract.topic] = Sink(
            Decoder(contract, rules.tenants),
            rules_number(contract, rules.tenants),
            bronze,
            self.dead_letters,
            settings.writer_name,
            self.lock,
            limit,
            patience=self._patience,
        )

    def _table(self, name: str, schema: pa.Schema) -> TransactionalTable:
        writer = self._settings.writer_name
        target = Target(self._lake, "bronze", name, schema, writer, PARTITION_BY)
        return TransactionalTable(target, writer, now=self._now, watch=self._watch)

    def __iter__(self) -> Iterator[Sink]:
        return iter(self._by_topic.values())

    def __getitem__(self, topic: str) -> Sink:
        return self._by_topic[topic]

    @property
    def topics(self) -> list[str]:
        """The topics that have a sink."""
        return list(self._by_topic)

    def take_over(self, sources: Iterable[Source]) -> dict[Source, int | None]:
        """Learn where each source stands, and keep writers with other rules from moving it."""
        return {
            source: position
            for topic, theirs in _by_topic(sources).items()
            for source, position in self[topic].take_over(theirs).items()
        }

    def look(self, sources: Iterable[Source]) -> dict[Source, int | None]:
        """Return where each source stands now, claiming nothing."""
        return {
            source: position
            for topic, theirs in _by_topic(sources).items()
            for source, position in self[topic].look(theirs).items()
        }


def _by_topic(sources: Iterable[Source]) -> dict[str, list[Source]]:
    found: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        found[source.topic].append(source)
    return found
