"""Dagster's page as a person uses it, by the interface that the page itself uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from orchestration.instance import LOCATION
from orchestration.jobs import BUILD_JOB
from orchestration.watch import SENSOR

TIMEOUT_S: Final = 120.0
REPOSITORY: Final = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}

NODES: Final = "{ assetNodes { groupName assetKey { path } dependencyKeys { path } } }"
LAUNCH: Final = """
mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
RUN: Final = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
UNFINISHED: Final = """
{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
  ... on Runs { results { runId jobName status } }
} }
"""
WRITTEN: Final = """
query ($key: AssetKeyInput!) {
  assetOrError(assetKey: $key) { ... on Asset { assetMaterializations(limit: 1) { timestamp } } }
}
"""
WATCHER: Final = """
query ($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) { ... on Sensor { id } }
}
"""
STOP: Final = """
mutation ($id: String!) {
  stopSensor(id: $id) {
    __typename ... on StopSensorMutationResult { instigationState { status } }
  }
}
"""
ENDED_BADLY: Final = {"FAILURE", "CANCELED"}

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dagster:
    """A page that is up."""

    url: str

    def materialize(self, tables: Iterable[Key], checked: Iterable[Key]) -> str:
        """Start the build of some tables of gold and of all that they are made of.

        Args:
            tables: layer and name.
            checked: the tables of bronze whose expectations are to be checked.

        Returns:
            The id of the run, which waits for the daemon.
        """
        chosen = [{"path": list(key)} for key in sorted(self._with_upstream(tables))]
        checks = [{"assetKey": {"path": list(key)}, "name": "expectations"} for key in checked]
        selector = {
            **REPOSITORY,
            "pipelineName": BUILD_JOB,
            "assetSelection": chosen,
            "assetCheckSelection": checks,
        }
        told = self._ask(LAUNCH, {"params": {"selector": selector, "mode": "default"}})
        launched = told["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def unfinished(self, run: str) -> str | None:
        """Return how a run stands; None when it went well.

        Raises:
            AssertionError: it failed.
        """
        status = str(self._ask(RUN, {"id": run})["runOrError"]["status"])
        assert status not in ENDED_BADLY, f"the run {run}: {status}"
        return None if status == "SUCCESS" else f"the run {run}: {status}"

    def at_work(self) -> list[Mapping[str, str]]:
        """Return the runs that have not ended."""
        runs: list[Mapping[str, str]] = self._ask(UNFINISHED)["runsOrError"]["results"]
        return runs

    def unwritten(self, key: Key) -> str | None:
        """Return None once Dagster knows that a table was written."""
        asset = self._ask(WRITTEN, {"key": {"path": list(key)}})["assetOrError"]
        known = asset.get("assetMaterializations")
        return None if known else f"Dagster does not know of {'/'.join(key)}"

    def stop_sensor(self) -> None:
        """Have the sensor on bronze ask for no more builds."""
        found = self._ask(WATCHER, {"selector": {**REPOSITORY, "sensorName": SENSOR}})
        stopped = self._ask(STOP, {"id": found["sensorOrError"]["id"]})["stopSensor"]
        assert stopped["instigationState"]["status"] == "STOPPED", stopped

    def _with_upstream(self, tables: Iterable[Key]) -> set[Key]:
        nodes = {tuple(node["assetKey"]["path"]): node for node in self._ask(NODES)["assetNodes"]}
        wanted, left = set[Key](), list(tables)
        while left:
            key = left.pop()
            if key not in wanted and nodes[key]["groupName"] in ("silver", "gold"):
                wanted.add(key)
                left += [tuple(one["path"]) for one in nodes[key]["dependencyKeys"]]
        return wanted

    def _ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": dict(variables or {})},
            timeout=TIMEOUT_S,
        ).raise_for_status()
        document = answer.json()
        assert not document.get("errors"), document["errors"]
        data: dict[str, Any] = document["data"]
        return data
