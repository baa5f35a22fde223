"""Dagster replays dead letters and counts them, a day at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from dagster import materialize

from ingest.contracts.registry import ContractSet
from ingest.settings import IngestSettings
from lake.settings import LakeSettings
from lake.tables import Lake
from orchestration.dead_letters import letter_report, replay_job
from tests.lake.dead_letters.letterbox import EACH, SET_TIME, Letterbox
from tests.lake.writer.bench import CONTRACT


def test_letters_are_replayed_by_a_job_and_counted_by_a_report(tmp_path: Path) -> None:
    box = Letterbox.filled(Lake(str(tmp_path / "lake")))
    job = replay_job(
        box.lake,
        ContractSet((CONTRACT,)),
        IngestSettings(_env_file=None, home=tmp_path),
        LakeSettings(_env_file=None, home=tmp_path),
    )
    steps = SET_TIME.model_dump(mode="json", by_alias=True, exclude_unset=True)
    config = {"tenant": "acme", "mending": steps}
    done = job.execute_in_process({"ops": {"take_letters_once_more": {"config": config}}})
    assert done.success
    assert len(box.rows()) == EACH + EACH // 2

    report = letter_report(box.lake, now=lambda: datetime.now(UTC))
    for _ in range(2):  # a second run of a day keeps nothing twice
        result = materialize([report])
        (event,) = result.asset_materializations_for_node("ops__dead_letter_report")
        said = {name: value.value for name, value in event.metadata.items()}
        assert (said["new letters"], said["open letters"]) == (EACH, EACH // 2)
        assert "| visits | missing_required | zeta | 5 | 5 | 0 | 0 |" in str(said["counts"])
    kept = box.lake.open("ops", "dead_letter_report").to_pyarrow_table()
    assert sorted(kept["replayed_count"].to_pylist()) == [0, EACH // 2]

    wrong = {"mending": {"steps": []}}
    failed = job.execute_in_process(
        {"ops": {"take_letters_once_more": {"config": wrong}}}, raise_on_error=False
    )
    assert not failed.success
