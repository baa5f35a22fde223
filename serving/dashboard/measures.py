"""SQL of measures: added up over a period, and beside those of the period before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def numbers(*measures: tuple[str, str]) -> str:
    """Return SQL of one row: each measure in the period, in the one before, and its change.

    The period before is full when there are rows from before it: its own first day may have begun
    with the first event.

    Args:
        measures: names and the aggregates that give them.
    """
    return (
        f"with during as (select {selected(measures)} from {{source}} where {{where}}), "
        f"earlier as (select {selected(measures)} from {{source}} where {{before}}), "
        "history as (select coalesce(min({day}) < $before_first, false) as is_full "
        "from {source} where {of_tenant}) "
        + compared(dict.fromkeys((name for name, _ in measures), "history.is_full"))
        + " from during, earlier, history"
    )


def selected(measures: Iterable[tuple[str, str]]) -> str:
    """Return the list of a select: names and the SQL that gives them."""
    return ", ".join(f"{sql} as {name}" for name, sql in measures)


def compared(measures: Mapping[str, str]) -> str:
    """Return the select of each measure of ``during``, the same of ``earlier``, and the change.

    Args:
        measures: names, and the SQL that tells whether what ``earlier`` is of was recorded in full;
            where it was not there is no change.
    """
    return "select " + ", ".join(
        f"during.{name}, earlier.{name} as {name}_before, {is_full} as {name}_before_is_full, "
        f"case when {is_full} then during.{name}::double / nullif(earlier.{name}, 0)::double - 1 "
        f"end as {name}_change"
        for name, is_full in measures.items()
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
