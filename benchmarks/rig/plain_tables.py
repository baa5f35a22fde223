"""Every model as a plain table: ``python -m benchmarks.rig.plain_tables HOME ORDER``.

All are in one DuckDB file. ``ORDER`` is a JSON file: model -> the SQL that a full refresh ran, in
the order that it ran. Bronze is read from the same Delta tables. Nothing is partitioned, and no
version is kept.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lake.duck import connect, delta_scan, quote_name
from lake.tables import Lake


def main() -> None:
    """Make the tables and print what that took."""
    home, order = Path(sys.argv[1]), Path(sys.argv[2])
    lake = Lake(str(home / "lake"))
    # dbt's own database is in memory and has that name, which stands in the SQL
    connection = connect(lake, home / "memory.duckdb")
    for layer in ("bronze", "silver", "gold"):
        connection.execute(f"create schema {layer}")
    for name in lake.names("bronze"):
        source = delta_scan(lake.uri("bronze", name))
        connection.execute(f"create view bronze.{quote_name(name)} as from {source}")
    began, cpu = time.perf_counter(), time.process_time()
    compiled = {label: Path(path) for label, path in json.loads(order.read_text()).items()}
    for name in lake.names("silver"):
        if f"silver.{name}" not in compiled:  # a seed
            source = delta_scan(lake.uri("silver", name))
            connection.execute(f"create table silver.{quote_name(name)} as from {source}")
    for label, path in compiled.items():
        layer, _, name = label.partition(".")
        connection.execute(f"create table {layer}.{quote_name(name)} as {path.read_text()}")
    connection.execute("checkpoint")
    took = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
