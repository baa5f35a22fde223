"""SQL of measures: added up over a period, and beside those of the period before."""

from __future__ import annotations

from collections.abc import Iterable


def numbers(*measures: tuple[str, str]) -> str:
    """Return SQL of one row: each measure in the period, in the one before, and its change.

    Args:
        measures: names and the aggregates that give them.
    """
    return (
        f"with during as (select {selected(measures)} from {{source}} where {{where}}), "
        f"earlier as (select {selected(measures)} from {{source}} where {{before}}) "
        f"{compared(name for name, _ in measures)} from during, earlier"
    )


def selected(measures: Iterable[tuple[str, str]]) -> str:
    """Return the list of a select: names and the SQL that gives them."""
    return ", ".join(f"{sql} as {name}" for name, sql in measures)


def compared(names: Iterable[str]) -> str:
    """Return the select of each measure of ``during``, the same of ``earlier``, and the change."""
    return "select " + ", ".join(
        f"during.{name}, earlier.{name} as {name}_before, "
        f"during.{name}::double / nullif(earlier.{name}, 0)::double - 1 as {name}_change"
        for name in names
    )


def cost_each(count: str) -> str:
    """Return the SQL of spend by ``count``, as the mart rounds it: to a hundredth of a cent."""
    return (
        f"cast(cast((2 * cast(sum(spend_usd) * 10000 as hugeint) + sum({count})) "
        f"// nullif(2 * sum({count}), 0) as decimal(14, 0)) * 0.0001 as decimal(18, 4))"
    )


def share(part: str, whole: str) -> str:
    """Return the SQL of a share; of nothing it is null."""
    return f"sum({part})::double / nullif(sum({whole}), 0)"
