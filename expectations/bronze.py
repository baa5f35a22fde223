"""What is expected of bronze, derived from each contract.

The writer already refuses a message that misses a required field, so those rules guard the writer
itself and block; what producers do wrong with optional fields only warns.
"""

from __future__ import annotations

from collections.abc import Iterable

from expectations.suite import Aggregate, NewRows, Rule, Suite, TableRef
from ingest.contracts.model import Contract, Field
from lake.duck import quote_name, quote_text
from lake.schema import RESCUED
from lake.tables import DEAD_LETTERS

ALLOWED_SHARE = 0.95
"""Of the values present, at least this share is among the allowed ones."""

FITTING_SHARE = 0.95
"""At least this share of the rows has no field that is unknown or did not fit its type."""

IN_TIME_SHARE = 0.95
AHEAD_HOURS = 24
"""A clock this far ahead of Kafka's is wrong, not just skewed."""

DEAD_SHARE = 0.05
"""More dead letters than this in a topic means that a producer is broken."""

EARLIEST_YEAR = 2000

FITS = "fields_that_fit"
HOURS_AHEAD = "hours_ahead_of_kafka"
YEAR = "event_year"


def bronze_suite(contract: Contract) -> Suite:
    """Return what is expected of the new rows of a contract's bronze table."""
    event_time = quote_name(contract.event_time)
    columns = {field.name: _as_checked(field) for field in contract.fields}
    columns |= {
        FITS: f"case when {quote_name(RESCUED)} is null then 'all' else 'not all' end",
        HOURS_AHEAD: f"epoch({event_time} - _appended_at) / 3600.0",
        YEAR: f"year({event_time})",
    }
    rules = [
        *(rule for field in contract.fields for rule in _field_rules(field)),
        Rule(
            "the fields of a message fit the contract",
            "ExpectColumnValuesToBeInSet",
            {"column": FITS, "value_set": ["all"], "mostly": FITTING_SHARE},
            "warn",
            "unknown fields and values of a wrong type are kept in _rescued, not in their column",
        ),
        Rule(
            f"{contract.event_time} is not ahead of Kafka by more than {AHEAD_HOURS} h",
            "ExpectColumnValuesToBeBetween",
            {"column": HOURS_AHEAD, "max_value": AHEAD_HOURS, "mostly": IN_TIME_SHARE},
            "warn",
            "a producer's clock is wrong; silver flags such events as future-dated",
        ),
        Rule(
            f"{contract.event_time} is in {EARLIEST_YEAR} or later",
            "ExpectColumnValuesToBeBetween",
            {"column": YEAR, "min_value": EARLIEST_YEAR, "mostly": IN_TIME_SHARE},
            "warn",
            "the epoch, or seconds read as milliseconds, in place of the event's time",
        ),
    ]
    used = {rule.column for rule in rules} | set(contract.key)
    return Suite(
        name=f"bronze.{contract.name}",
        layer="bronze",
        table=contract.name,
        batch=NewRows({name: sql for name, sql in columns.items() if name in used}),
        rules=tuple(rules),
        keys=contract.key,
    )


def dead_letter_suite(contracts: Iterable[Contract], tables: Iterable[str]) -> Suite:
    """Return what is expected of the share of dead letters in each topic.

    Args:
        contracts: the contracts to count for.
        tables: the bronze tables that exist.
    """
    existing = set(tables)
    reads: list[TableRef] = [("bronze", DEAD_LETTERS)]
    counts = []
    for contract in contracts:
        rows = "0"
        if contract.name in existing:
            reads.append(("bronze", contract.name))
            rows = f"(select count(*) from {{bronze.{contract.name}}})"
        counts.append(f"({quote_text(contract.name)}, {rows})")
    sql = f"""
        with bronze (contract, rows) as (values {", ".join(counts)}),
        dead as (
            select contract, count(*) as dead from {{bronze.{DEAD_LETTERS}}} group by all
        )
        select
            bronze.contract, bronze.rows, coalesce(dead.dead, 0) as dead,
            coalesce(dead.dead, 0) / nullif(bronze.rows + coalesce(dead.dead, 0), 0) as dead_share
        from bronze left join dead using (contract)
        order by contract
    """
    rule = Rule(
        f"dead letters are at most {DEAD_SHARE:.0%} of a topic",
        "ExpectColumnValuesToBeBetween",
        {"column": "dead_share", "min_value": 0, "max_value": DEAD_SHARE},
        "warn",
        "a producer sends what the contract refuses; bronze.dead_letters has the reasons",
    )
    return Suite(
        name=f"bronze.{DEAD_LETTERS}",
        layer="bronze",
        table=DEAD_LETTERS,
        batch=Aggregate(sql, tuple(reads)),
        rules=(rule,),
        keys=("contract", "rows", "dead"),
    )


def _as_checked(field: Field) -> str:
    """Return the SQL of a column as the batch holds it: exact enough to check, quick to compare."""
    name = quote_name(field.name)
    if field.pii or field.kind in ("map", "json"):
        # Personal data stays out of samples and docs: only whether there is a value is checked.
        return f"case when {name} is not null then 'present' end"
    if field.kind in ("decimal", "integer", "number"):
        return f"{name}::double"
    return name


def _field_rules(field: Field) -> Iterable[Rule]:
    if field.required:
        yield Rule(
            f"{field.name} is present",
            "ExpectColumnValuesToNotBeNull",
            {"column": field.name},
            "block",
            "the writer must turn a message without it into a dead letter",
        )
    if field.allowed and not field.pii:
        yield Rule(
            f"{field.name} is one of its allowed values",
            "ExpectColumnValuesToBeInSet",
            {"column": field.name, "value_set": list(field.allowed), "mostly": ALLOWED_SHARE},
            "warn",
            "models that group by it put what they do not know aside",
        )
    if field.unit is not None and field.kind in ("decimal", "integer", "number"):
        yield Rule(
            f"{field.name} is not negative",
            "ExpectColumnValuesToBeBetween",
            {"column": field.name, "min_value": 0, "mostly": ALLOWED_SHARE},
            "warn",
            f"an amount in {field.unit} below zero makes sums and averages too small",
        )
