"""A tenant's own fields are typed columns of its views, and of nobody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ingest.contracts.fit import Misfit, fit_of
from ingest.contracts.json_text import compact, parse
from ingest.contracts.overlay import grown, parse_field, without
from ingest.contracts.registry import load_contracts
from ingest.errors import ContractError
from ingest.settings import IngestSettings
from ingest.tenants.access import open_registry
from lake.overlay_sql import expression

EVENTS = load_contracts(None).by_name("app_events")

VALUES = [
    "null", "true", "false", '"true"', '""', '"text"', r'"\u00e9\n\"x\""', "{}", '{"a":1}', "[1]",
    "0", "-0", "12", "12.0", "1.2e1", "1.5", "1e3", "1e400", "-1e-400", "0.1", "12.50", "12.500",
    "0.1000000000000000055", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "123456789012345678901234567890", "1e21", "99999999.99", "100000000.00",
    '"12"', '"12.50"', '"12.500"', '"0.001"', '"1,5"', '" 12"', '"-0.10"', '"00.1"', '".5"', '"1."',
    '"2025-06-30T12:00:00Z"', '"2025-06-30 12:00:00"', '"2025-06-30t12:00:00.1234567z"',
    '"2025-06-30T12:00:00.123456789+02:00"', '"2025-06-30T12:00:00-0330"', '"2025-06-30T12:00+02"',
    '"2025-06-30T12:00:00+02"', '"2025-06-30T24:00:00Z"', '"2025-06-30T23:59:60Z"',
    '"2025-02-30T00:00:00Z"', '"0001-01-01T00:00:00+01:00"', '"9999-12-31T23:59:59-01:00"',
    '"0000-01-01T00:00:00Z"', '"2025-06-30"', '"2025-1-1"', '"2025-02-30"', '"0000-01-01"',
    '"9999-12-31"',
]  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [
        "string",
        "integer",
        "number",
        "boolean",
        "timestamp",
        "date",
        "decimal(10,2)",
        "decimal(2,2)",
    ],
)
def test_what_fits_a_column_is_what_fits_a_contracts(spec: str) -> None:
    field = parse_field(f"x:{spec}=a/b~.x y")
    texts = [compact(parse(f'{{"n":0,"a/b~":{{"x y":{value}}}}}')) for value in VALUES]
    fit = fit_of(field.as_field())
    wanted = []
    for text in VALUES:
        value = parse(text)
        fitted = None if value is None else fit(value)
        wanted.append(None if isinstance(fitted, Misfit) else fitted)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'Asia/Tokyo'")
        sql = expression(field, "_rescued", field.path)
        connection.execute("create table t as select unnest(?::varchar[]) as _rescued", [texts])
        found = [row[0] for row in connection.execute(f"select {sql} from t").fetchall()]
    if spec == "timestamp":
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        found = [None if v is None else (v - epoch) // timedelta(microseconds=1) for v in found]
    assert dict(zip(VALUES, found, strict=True)) == dict(zip(VALUES, wanted, strict=True))


def test_a_number_that_duckdb_would_round_is_no_decimal_and_broken_json_no_error() -> None:
    field = parse_field("x:decimal(10,2)")
    with duckdb.connect() as connection:
        for kept in ('{"x":0.1000000000000000055}', '{"x":', "", None):
            sql = f"select {expression(field, 'kept', field.path)} from (select ?::varchar as kept)"
            assert connection.execute(sql, [kept]).fetchone() == (None,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("plan", "name:type"),
        ("plan:json", "no type"),
        ("plan:decimal(40,2)", "no type"),
        ("Plan:string", "cannot be a column"),
        ("_plan:string", "cannot be a column"),
        ("select:string", "cannot be a column"),
        ("user_id:string", "already"),
        ("event_date:string", "already"),
        ("person:string=user_id", "reads user_id from"),
        ("everything:string=properties", "reads properties from"),
        ("plan:string=properties..plan", "missing"),
    ],
)
def test_what_cannot_be_a_field_is_refused(text: str, why: str) -> None:
    with pytest.raises(ContractError, match=why):
        grown(EVENTS, None, [parse_field(text)], {"event_date"})


def test_an_overlay_only_grows_and_a_retired_field_comes_back_as_it_was() -> None:
    first = grown(EVENTS, None, [parse_field("plan:string")], ())
    with pytest.raises(ContractError, match="stays so"):
        grown(EVENTS, first, [parse_field("plan:integer")], ())
    with pytest.raises(ContractError, match="nothing"):
        grown(EVENTS, first, [parse_field("plan:string")], ())
    second = without("app_events", first, ["plan"])
    assert second.columns == ()
    with pytest.raises(ContractError, match="no field plan"):
        without("app_events", second, ["plan"])
    with pytest.raises(ContractError, match="stays so"):
        grown(EVENTS, second, [parse_field("plan:integer")], ())
    third = grown(EVENTS, second, [parse_field("plan:string")], ())
    assert (third.version, [field.name for field in third.columns]) == (3, ["plan"])


class Desk:
    """A home with two tenants and a silver table, and the command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        registry = open_registry(IngestSettings(_env_file=None, home=home))
        for name in ("acme", "globex"):
            registry.create(name, who="anna")
        self.registry = registry

    def make_silver(self) -> None:
        rows = [
            ("acme", '{"seats":12,"plan":"pro"}', '{"billing":{"mrr":"9.90"}}'),
            ("acme", '{"seats":"twelve"}', None),
            ("globex", '{"seats":99,"plan":"free"}', None),
        ]
        names = ("tenant_id", "_rescued", "properties")
        table = pa.table({n: [row[i] for row in rows] for i, n in enumerate(names)})
        uri = self.home / "lake" / "silver" / "stg_app_events"
        write_deltalake(uri, table, partition_by=["tenant_id"])

    def lakeward(self, *arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lakeward", *arguments],
            env={**os.environ, "LAKEWARD_HOME": str(self.home), "USER": "anna", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    def ask(self, tenant: str, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            self.lakeward("query", sql, "--tenant", tenant, "--format", "json")
        )
        return found


def test_a_tenants_fields_are_columns_of_its_views_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    add = ["contracts", "overlay", "add", "app_events", "--tenant", "acme", "--field"]
    desk.lakeward(*add, "seats:integer")  # recorded before there is a table
    desk.make_silver()
    assert "seats" not in desk.ask("acme", "from silver.stg_app_events")[0]
    desk.lakeward("contracts", "overlay", "apply", "--tenant", "acme")
    desk.lakeward("catalog", "build", "--tenant", "acme", "--copy")
    desk.lakeward(*add, "mrr:decimal(10,2)=properties.billing.mrr", "--field", "plan:string")
    rows = desk.ask("acme", "select seats, plan, mrr from silver.stg_app_events order by seats")
    assert rows == [
        {"seats": 12, "plan": "pro", "mrr": 9.90},
        {"seats": None, "plan": None, "mrr": None},
    ]
    assert set(desk.ask("globex", "from silver.stg_app_events")[0]) == {
        "tenant_id", "_rescued", "properties",
    }  # fmt: skip
    assert "stays so" in desk.lakeward(*add, "seats:string", fails=True)
    desk.lakeward(
        "contracts", "overlay", "retire", "app_events", "--tenant", "acme", "--field", "plan"
    )
    assert "plan" not in desk.ask("acme", "from silver.stg_app_events")[0]
    versions = json.loads(
        desk.lakeward("contracts", "overlay", "show", "app_events", "--tenant", "acme", "--json")
    )
    assert [(one["version"], one["applied_at"] is None) for one in versions] == [
        (1, False), (2, False), (3, False),
    ]  # fmt: skip
    actions = [entry.action for entry in desk.registry.log("acme")]
    assert actions == ["create", *["overlay", "apply-overlay"] * 3]
