"""That layers agree by count: bronze = silver + duplicates + rejected, and nothing came from air.

Bronze is read at the very version that silver says it has processed, and counted anew from its
rows, so the sum does not rest on anything that the models counted themselves.
"""

from __future__ import annotations

from deltalake import DeltaTable

from expectations.silver import REJECTED, silver_table
from expectations.suite import Aggregate, Rule, Suite, TableRef
from ingest.contracts.model import Contract
from lake.duck import quote_name, quote_text
from lake.increments import Pinned
from lake.tables import Lake


class NotComparableError(Exception):
    """A layer is between two states; never shown as an error, the suite is skipped with it."""


def reconciliation_suite(lake: Lake, contract: Contract) -> Suite:
    """Return the counts of one contract across bronze and silver, and what must hold of them.

    Raises:
        NotComparableError: silver's tables have not read the same version of bronze.
    """
    silver = silver_table(contract)
    refs: tuple[TableRef, ...] = (
        ("bronze", contract.name),
        ("silver", silver),
        ("silver", REJECTED),
    )
    bronze = lake.open("bronze", contract.name)
    version = processed_version(
        lake, ("bronze", contract.name), bronze, (("silver", silver), ("silver", REJECTED))
    )
    keys = ", ".join(quote_name(key) for key in contract.key)
    sql = f"""
        with bronze as (
            select {keys}, _topic_id, _partition, _offset from {{bronze.{contract.name}}}
        ),
        rejected as (
            select distinct _topic_id, _partition, _offset from {{silver.{REJECTED}}}
            where contract = {quote_text(contract.name)}
        ),
        valid as (
            select {keys}, count(*) as copies
            from bronze anti join rejected using (_topic_id, _partition, _offset)
            group by all
        ),
        silver as (select {keys}, count(*) as copies from {{silver.{silver}}} group by all),
        compared as (
            select
                coalesce(sum(valid.copies), 0) as valid_rows,
                count(valid.copies) as valid_events,
                coalesce(sum(silver.copies), 0) as silver_rows,
                count(*) filter (silver.copies is null) as lost_events,
                count(*) filter (valid.copies is null) as unexplained_events
            from valid full join silver using ({keys})
        ),
        counted as (
            select
                (select count(*) from bronze) as bronze_rows,
                (select count(*) from rejected) as rejected
        )
        select
            {quote_text(contract.name)} as contract,
            bronze_rows::bigint as bronze_rows,
            silver_rows::bigint as silver_rows,
            (valid_rows - valid_events)::bigint as duplicates,
            rejected::bigint as rejected,
            (bronze_rows - silver_rows - (valid_rows - valid_events) - rejected)::bigint
                as difference,
            lost_events::bigint as lost_events,
            unexplained_events::bigint as unexplained_events
        from compared, counted
    """
    rules = (
        zero(
            "difference",
            "bronze rows = silver rows + duplicates + rejected",
            "an event was lost or counted twice between bronze and silver",
        ),
        zero(
            "lost_events",
            "each valid event of bronze is in silver",
            "an event was dropped on the way to silver",
        ),
        zero(
            "unexplained_events",
            "each event of silver is in bronze",
            "silver has events that bronze does not know",
        ),
    )
    return Suite(
        name=f"silver.{silver}.reconciliation",
        layer="silver",
        table=silver,
        batch=Aggregate(sql, refs, {("bronze", contract.name): version}),
        rules=rules,
        keys=("contract", "bronze_rows", "silver_rows", "duplicates", "rejected"),
    )


def zero(column: str, name: str, why: str) -> Rule:
    """Return the blocking rule that ``column`` is 0 in each row."""
    arguments = {"column": column, "min_value": 0, "max_value": 0}
    return Rule(name, "ExpectColumnValuesToBeBetween", arguments, "block", why)


def processed_version(
    lake: Lake, upstream: TableRef, table: DeltaTable, readers: tuple[TableRef, ...]
) -> int:
    """Return the version of ``upstream`` that all ``readers`` have processed.

    Raises:
        NotComparableError: they have not read it, or have read different versions.
    """
    label = f"{upstream[0]}.{upstream[1]}"
    pinned = Pinned(lake, *upstream, table)
    seen = {f"{r[0]}.{r[1]}": pinned.last_read_by(lake.open(*r)) for r in readers}
    for reader, version in seen.items():
        if version is None or version < 0:
            raise NotComparableError(f"{reader} has not read {label} yet")
        if version > table.version():
            raise NotComparableError(
                f"{reader} has read version {version} of {label}, which is at {table.version()}"
            )
    versions = {version for version in seen.values() if version is not None}
    if len(versions) > 1:
        told = ", ".join(f"{reader} version {version}" for reader, version in seen.items())
        raise NotComparableError(f"of {label}, {told} were read: a build runs, or stopped half-way")
    return versions.pop()
