"""One round of maintenance over the tables of a lake."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lake.commit_ranges import folded, missing_rows
from lake.errors import LakeError, MissingTableError
from lake.log_files import LogFiles, log_files
from lake.maintenance.compaction import Compacted, compact
from lake.maintenance.fold import fold
from lake.maintenance.log_cleanup import Cleaned, checkpoint, clean
from lake.maintenance.readers import MODELLED, Need, needed, open_readers
from lake.maintenance.vacuum import Vacuumed, vacuum
from lake.model_table import LOG_PROPERTIES as OF_MODELS
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, LAYERS, Lake, Layer
from lake.writer.target import LOG_PROPERTIES as OF_BRONZE
from lake.writer.target import ROLE

logger = logging.getLogger(__name__)

Step = Literal["compact", "fold", "checkpoint", "vacuum", "clean"]
STEPS: Final[tuple[Step, ...]] = ("compact", "fold", "checkpoint", "vacuum", "clean")
"""In this order: each makes the next one's work small."""

TROUBLE: Final = (LakeError, DeltaError, OSError, pa.ArrowException)
"""What ends the work on one table, and not that on the others."""

Table = tuple[Layer, str]


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done to one table, or would be."""

    layer: Layer
    name: str
    compacted: Compacted | None = None
    folded_to: int | None = None
    checkpointed: bool = False
    vacuumed: Vacuumed | None = None
    cleaned: Cleaned | None = None
    notes: tuple[str, ...] = ()
    """What was left undone, and why."""
    error: str | None = None
    """Why the table was given up; what was done before it stays done."""

    @property
    def label(self) -> str:
        """``<layer>.<name>``."""
        return f"{self.layer}.{self.name}"


@dataclass(frozen=True, slots=True)
class Options:
    """How a round goes about it."""

    target_size: int
    retention: timedelta
    """How long replaced files are kept."""
    log_retention: timedelta
    """How long versions can be opened; and how long a model that is behind is waited for."""
    log_commits: int | None = None
    """How many commits a bronze table's log has at most, once they are read; None: any number."""
    steps: frozenset[Step] = frozenset(STEPS)
    dry_run: bool = False
    force: bool = False
    """Vacuum and clean even a table whose rows are missing."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, settings: LakeSettings) -> Options:
        """Return what the settings say."""
        return cls(
            target_size=settings.compact_target_bytes,
            retention=timedelta(days=settings.vacuum_retention_days),
            log_retention=timedelta(days=settings.log_retention_days),
            log_commits=settings.log_commits,
        )


def maintain(
    lake: Lake, options: Options, tables: Collection[Table] | None = None
) -> Iterator[Maintained]:
    """Yield what was done to each table, as soon as it is done.

    May run while the writer writes, builds run and people read; also twice at once. A table that
    cannot be maintained is reported, and the others are not kept from it.

    Args:
        lake: which lake.
        options: how.
        tables: only these; None: all.

    Raises:
        MissingTableError: one of ``tables`` is not there.
    """
    chosen = choose(lake, tables)
    readers = open_readers(lake) if options.steps & {"vacuum", "clean"} else {}
    for layer, name in chosen:
        yield _Round(lake, layer, name, options, readers).run()


def choose(lake: Lake, tables: Collection[Table] | None) -> list[Table]:
    """Return the tables to work on, in the order of the layers.

    Raises:
        MissingTableError: one of ``tables`` is not there.
    """
    there: list[Table] = [(layer, name) for layer in LAYERS for name in lake.names(layer)]
    for layer, name in tables or ():
        if (layer, name) not in there:
            raise MissingTableError(
                f"there is no table {layer}.{name} at {lake.uri(layer, name)}",
                hint="`lakeward tables` lists what there is",
            )
    return [table for table in there if tables is None or table in tables]


class _Round:
    """One table's turn."""

    def __init__(
        self,
        lake: Lake,
        layer: Layer,
        name: str,
        options: Options,
        readers: Mapping[str, DeltaTable],
    ) -> None:
        self._lake = lake
        self._layer = layer
        self._name = name
        self._options = options
        self._readers = readers
        self._done = Maintained(layer, name)
        self._notes: list[str] = []

    def run(self) -> Maintained:
        """Take the steps one after the other; what fails ends the turn."""
        error = None
        try:
            self._run()
        except TROUBLE as trouble:
            error = str(trouble).strip().splitlines()[0]
            logger.info("maintenance_failed", extra={"table": self._name, "why": error})
        return replace(self._done, notes=tuple(self._notes), error=error)

    def _run(self) -> None:
        options = self._options
        if "compact" in options.steps:
            done = compact(
                self._lake,
                self._layer,
                self._name,
                target_size=options.target_size,
                now=options.now,
                dry_run=options.dry_run,
            )
            self._done = replace(self._done, compacted=done)
            if done.note:
                self._notes.append(done.note)
        folded_to = self._fold()
        table = self._open()
        log = log_files(table, self._lake.storage_options)
        if "checkpoint" in options.steps:
            made = checkpoint(table, log, dry_run=options.dry_run)
            self._done = replace(self._done, checkpointed=made)
        if not options.steps & {"vacuum", "clean"} or self._lacks_rows(table):
            return
        if not options.dry_run and _set_properties(table, self._log_properties):
            table = self._open()
        need = needed(
            self._lake,
            self._layer,
            self._name,
            table,
            self._readers,
            patience=options.log_retention,
            now=options.now(),
        )
        if "vacuum" in options.steps:
            self._vacuum(table, log, need)
        if "clean" in options.steps:
            cleaned = clean(
                log,
                options.log_retention,
                folded_to=folded_to,
                now=options.now(),
                most=options.log_commits if self._is_ours else None,
                read_to=need.read_to,
                dry_run=options.dry_run,
            )
            self._done = replace(self._done, cleaned=cleaned)

    def _open(self) -> DeltaTable:
        return self._lake.open(self._layer, self._name)

    @property
    def _is_ours(self) -> bool:
        """True for a table that a writer fills."""
        return self._layer == "bronze" and ROLE in self._open().metadata().configuration

    @property
    def _log_properties(self) -> Mapping[str, str]:
        """What the log of such a table is told when it is made; empty for one of others."""
        if self._layer in MODELLED:
            is_a_models = self._open().metadata().name == self._done.label
            return OF_MODELS if is_a_models else {}
        return OF_BRONZE if self._is_ours else {}

    @property
    def _has_ranges(self) -> bool:
        """True for a table whose commits record which offsets they brought."""
        return self._name != DEAD_LETTERS and self._is_ours

    def _fold(self) -> int | None:
        """Return how far the log may be forgotten; None: as far as anybody likes."""
        if not self._has_ranges:
            return None
        options = self._options
        if options.dry_run or "fold" not in options.steps:
            # a dry run counts what could go once it is folded
            return self._open().version() if options.dry_run else self._folded_to()
        table = self._open()
        folded_to = fold(self._lake, self._name, table)
        self._done = replace(self._done, folded_to=folded_to)
        return folded_to

    def _folded_to(self) -> int:
        return folded(self._lake, self._name, self._open())[0]

    def _lacks_rows(self, table: DeltaTable) -> bool:
        """Tell whether rows are missing that old files may still hold."""
        if self._layer != "bronze" or not (self._has_ranges or self._name == DEAD_LETTERS):
            return False
        missing = missing_rows(self._lake, self._name, table)
        if not missing:
            return False
        say = f"{missing:,} rows are missing that the writer's commits recorded (`lakeward audit`)"
        if self._options.force:
            self._notes.append(say)
            return False
        self._notes.append(f"{say}: not vacuumed, old versions may still hold them")
        return True

    def _vacuum(self, table: DeltaTable, log: LogFiles, need: Need) -> None:
        options = self._options
        done = vacuum(
            table,
            log,
            options.retention,
            need.waiting,
            now=options.now(),
            dry_run=options.dry_run,
        )
        self._done = replace(self._done, vacuumed=done)
        self._explain(need, done)

    def _explain(self, need: Need, done: Vacuumed) -> None:
        waiting = need.waiting
        if waiting is not None and timedelta(hours=done.kept_hours) > self._options.retention:
            self._notes.append(
                f"files replaced since {waiting.since:%Y-%m-%d %H:%M} UTC are kept for "
                f"{waiting.reader}, which has not read them: run `lakeward build`"
            )
        if need.lapsed:
            days = self._options.log_retention.days
            self._notes.append(
                f"{', '.join(need.lapsed)} read nothing for {days} days and will be built anew "
                "by the next `lakeward build`"
            )


def _set_properties(table: DeltaTable, properties: Mapping[str, str]) -> bool:
    """Give a table that an older version made what newer ones have from the start.

    Returns:
        True when its properties were changed.

    Raises:
        CommitFailedError: somebody changed the table at the same moment.
    """
    told = table.metadata().configuration
    missing = {name: value for name, value in properties.items() if told.get(name) != value}
    if missing:
        table.alter.set_table_properties(missing)
    return bool(missing)
