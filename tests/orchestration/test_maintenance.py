"""Dagster keeps the tables healthy, and says so when it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from dagster import DagsterInstance, ExecuteInProcessResult
from deltalake import DeltaTable, write_deltalake

from tests.orchestration.conftest import Home, make_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A lake with one gold table of ten files."""
    made = make_home(tmp_path / "home")
    for number in range(10):
        write_deltalake(
            made.lake.uri("gold", "mine"), pa.table({"number": [number]}), mode="append"
        )
    return made


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


def metadata(result: ExecuteInProcessResult, op: str) -> dict[str, object]:
    (event,) = [e for e in result.events_for_node(op) if e.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


@pytest.mark.parametrize(
    ("job", "op"), [("compact", "merge_small_files"), ("maintain", "look_after_the_tables")]
)
def test_the_small_files_of_all_tables_are_merged(
    home: Home, instance: DagsterInstance, job: str, op: str
) -> None:
    result = home.run(job, instance)
    assert result.success
    assert len(DeltaTable(home.lake.uri("gold", "mine")).file_uris()) == 1
    said = metadata(result, op)
    assert said["files merged"] == 10
    assert "| gold.mine | 10 | 1 |" in str(said["tables"])


def test_a_table_that_cannot_be_maintained_fails_the_run_and_the_others_are(
    home: Home, instance: DagsterInstance
) -> None:
    bad = home.lake.uri("gold", "broken")
    for number in range(8):
        write_deltalake(bad, pa.table({"number": [number]}), mode="append")
    Path(DeltaTable(bad).file_uris()[3]).write_bytes(b"not Parquet")
    result = home.run("maintain", instance, raise_on_error=False)
    assert not result.success
    (failure,) = result.get_failed_step_keys()
    assert failure == "look_after_the_tables"
    message = result.failure_data_for_node("look_after_the_tables")
    assert message is not None
    assert "gold.broken" in str(message.user_failure_data)
    assert len(DeltaTable(home.lake.uri("gold", "mine")).file_uris()) == 1
