"""Erase a tenant: every row in every layer, and the files that held it.

The order is bronze, ops, silver, gold, each table's files right after its rows. So whatever is
computed from a table that has been done is computed without the tenant; a build that began before
has pinned older versions of all tables at its start, and is refused by the fence that the erasure
has moved in its table. All tables are looked through again until nothing is found, and only then is
the certificate written.

An erasure may die anywhere. Run again it goes on, and ends with the same tables and the same
counts: they are read from the commits, not remembered.

The writer must not take the tenant's events while this runs (the tenant is suspended); if it does,
the erasure ends with an error after ``ROUNDS``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from deltalake.exceptions import DeltaError

from ingest.contracts.model import Contract
from lake.delta_log import read_commit_infos
from lake.erasure.belonging import Belonging
from lake.erasure.certificate import Certificate, TableErased
from lake.erasure.ledger import Begun, ErasureLedger
from lake.erasure.leftovers import Leftovers, delete_leftovers
from lake.erasure.mark import mark_in
from lake.erasure.offsets import ErasedOffsets
from lake.erasure.reach import Reach, Table, reach
from lake.erasure.rewrite import TableErasure
from lake.errors import ErasureError
from lake.inventory import require_tables
from lake.tables import Lake

logger = logging.getLogger(__name__)

ROUNDS: Final = 5
"""How often all tables are looked through before whoever keeps bringing rows is to be stopped."""

Progress = Callable[[str, int, int], None]
"""Told the table's name, how many tables are done and how many there are."""


def erase_tenant(
    lake: Lake,
    tenant_id: str,
    contracts: Iterable[Contract] = (),
    *,
    dev: Lake | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_progress: Progress = lambda table, done, total: None,  # noqa: ARG005
) -> Certificate:
    """Erase a tenant's rows from every table, and the files that held them.

    When all is erased already, the certificate that says so is returned and nothing is written.
    Rows that came after it are erased under a certificate of their own.

    Args:
        lake: which lake.
        tenant_id: whose rows; every table with a column ``tenant_id`` is looked through.
        contracts: say which payload member and which message keys name the tenant, for dead
            letters that could not be read.
        dev: the silver and gold of a dev target.
        now: the present, UTC.
        on_progress: called before each table of the first round.

    Raises:
        LakePathError: there is no lake at that root, or it cannot be read.
        ErasureError: the tenant's rows keep coming, or a table cannot be erased from.
    """
    if not tenant_id:
        raise ErasureError("no tenant is named", hint="`lakeward tenant list` shows them.")
    require_tables(lake)
    belonging = Belonging(tenant_id, contracts)
    ledger = ErasureLedger(lake)
    begun = ledger.under_way(tenant_id)
    if begun is None:
        within = reach(lake, dev)
        earlier = ledger.certificates(tenant_id)
        if earlier and not _has_come_back(within, earlier[-1], belonging):
            _look_again(within, earlier, belonging, now())
            return earlier[-1]
        versions = {table.label: table.open().version() for table in within.tables}
        begun = ledger.begin(tenant_id, versions, now())
    certificate = _Erasure(lake, dev, begun, belonging, now).run(on_progress)
    written = ledger.finish(begun, certificate)
    logger.info("tenant_erased", extra={"erasure_id": written.erasure_id, "rows": written.rows})
    return written


@dataclass(slots=True)
class _Done:
    """What is known of one table."""

    erasure: TableErasure
    version: int | None = None
    """The last one that was found to hold no row of the tenant."""
    files: int = 0
    """Files that this run replaced or dropped."""
    leftovers: Leftovers | None = None


class _Erasure:
    """One run of an erasure."""

    def __init__(
        self,
        lake: Lake,
        dev: Lake | None,
        begun: Begun,
        belonging: Belonging,
        now: Callable[[], datetime],
    ) -> None:
        self._lake = lake
        self._dev = dev
        self._begun = begun
        self._belonging = belonging
        self._now = now
        self._offsets = ErasedOffsets(lake)
        self._done: dict[str, _Done] = {}

    def run(self, on_progress: Progress) -> Certificate:
        """Look through all tables until none holds a row of the tenant.

        Raises:
            ErasureError: rows keep coming.
        """
        for number in range(ROUNDS):
            within = reach(self._lake, self._dev)
            found = 0
            for place, table in enumerate(within.tables):
                if number == 0:
                    on_progress(table.label, place, len(within.tables))
                found += self._erase_from(table)
            if number and not found:
                return self._certificate(within)
        raise ErasureError(
            f"rows of {self._begun.tenant_id!r} keep coming into the lake",
            hint="Suspend the tenant, wait until the writers know it, and run the erasure again: "
            "it goes on where it stopped.",
        )

    def _erase_from(self, table: Table) -> int:
        """Erase from a table that has changed since it was found clean; return the rows erased."""
        done = self._done.get(table.label)
        if done is None:
            erasure = TableErasure(table, self._belonging, self._begun.erasure_id)
            done = self._done[table.label] = _Done(erasure)
        elif table.open().version() == done.version:
            return 0
        announce = None
        if table.has_offsets:
            announce = partial(self._offsets.announce, self._begun.erasure_id, table.name)
        rows, files, done.version = done.erasure.run(announce, self._now)
        done.files += files
        done.leftovers = delete_leftovers(
            table, self._belonging, now=self._now(), is_fenced=done.files > 0
        )
        return rows

    def _certificate(self, within: Reach) -> Certificate:
        return Certificate(
            erasure_id=self._begun.erasure_id,
            tenant_id=self._begun.tenant_id,
            begun_at=self._begun.begun_at,
            finished_at=self._now(),
            tables=tuple(map(self._counted, within.tables)),
            without_tenants=within.without_tenants,
            kept=within.seeds,
        )

    def _counted(self, table: Table) -> TableErased:
        """Count what this erasure did to a table, in whichever run.

        By its commits; bronze's log is short, so there the announced offsets are counted, all of
        which are gone now.
        """
        done = self._done[table.label]
        assert done.version is not None
        assert done.leftovers is not None
        since = self._begun.versions.get(table.label, -1)
        infos = read_commit_infos(table.open(), since, table.lake.storage_options)
        marks = [mark for _, info in infos if (mark := mark_in(info)) is not None]
        mine = [mark for mark in marks if mark.erasure_id == self._begun.erasure_id]
        rows = sum(mark.rows for mark in mine)
        if table.has_offsets:
            rows = self._offsets.count(table.name, self._begun.erasure_id)
        return TableErased(
            table=table.label,
            rows=rows,
            files=max(done.files, sum(len(mark.replaced) for mark in mine)),
            version=done.version,
            undecided_files=done.leftovers.undecided,
        )


def _look_again(
    within: Reach, earlier: Iterable[Certificate], belonging: Belonging, now: datetime
) -> None:
    """Delete the files that nothing could be said about when a certificate was written."""
    labels = {t.table for one in earlier for t in one.tables if t.undecided_files}
    for table in within.tables:
        if table.label in labels:
            delete_leftovers(table, belonging, now=now)


def _has_come_back(within: Reach, earlier: Certificate, belonging: Belonging) -> bool:
    """Tell whether a table holds rows of the tenant again, looking only at what is new in it."""
    versions = {table.table: table.version for table in earlier.tables}
    for table in within.tables:
        erasure = TableErasure(table, belonging, earlier.erasure_id)
        seen = versions.get(table.label)
        if seen is not None:
            try:
                erasure.skip(table.open(seen))
            except DeltaError as error:  # so old that its log is gone: everything is looked at
                logger.info("version_gone", extra={"table": table.label, "why": str(error)})
        if not erasure.is_clean():
            return True
    return False
