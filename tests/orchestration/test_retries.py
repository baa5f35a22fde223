"""What is tried again by itself, with growing pauses, and what is final."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import Backoff, Failure

from lake.dbt_run import DbtResult, NodeResult
from orchestration.models import raise_failures
from tests.orchestration.conftest import Home


def test_steps_that_lean_on_a_broker_or_a_store_are_tried_again_with_growing_pauses(
    empty_home: Home,
) -> None:
    for job, steps in {
        "everything": {"bronze", "silver_models", "gold_models"},
        "maintain": {"look_after_the_tables"},
        "audit": {"prove_the_promise"},
    }.items():
        nodes = {node.name: node for node in empty_home.defs.resolve_job_def(job).nodes}
        assert steps <= set(nodes), (job, sorted(nodes))
        for step in steps:
            policy = nodes[step].definition.retry_policy  # type: ignore[attr-defined]
            assert policy.max_retries >= 2, step
            assert policy.backoff == Backoff.EXPONENTIAL, step


@pytest.mark.parametrize(("kind", "is_tried_again"), [("model", True), ("test", False)])
def test_a_model_that_failed_is_tried_again_and_a_test_that_failed_is_final(
    kind: str, is_tried_again: bool
) -> None:
    node = NodeResult("x", kind, "x", "gold.x", "error", "told", None, None, 0.1, None)
    with pytest.raises(Failure, match=r"gold\.x: error: told") as raised:
        raise_failures(DbtResult(False, (node,), Path("dbt/target")))
    assert raised.value.allow_retries is is_tried_again
