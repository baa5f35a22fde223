"""Is a Dagster process ready? Asked from outside, the way its users reach it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import (  # type: ignore[import-untyped]
    health_pb2,
    health_pb2_grpc,
)

TIMEOUT_S = 5.0
SENSOR_DAEMON = "SENSOR"


def code_server_serves(host: str, port: int) -> bool:
    """True when the code server has loaded the definitions and answers."""
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="DagsterApi")
        try:
            answer = stub.Check(request, timeout=TIMEOUT_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@dataclass(frozen=True, slots=True)
class DagsterPage:
    """Dagster's web server, by its GraphQL interface."""

    url: str

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the ``data`` of an answer.

        Raises:
            OSError: it does not answer.
            ValueError: it answers with errors, or with something else than GraphQL.
        """
        body = json.dumps({"query": query, "variables": dict(variables or {})}).encode()
        request = Request(  # noqa: S310 - the address is ours
            f"{self.url}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                document = json.load(answer)
        except HTTPException as error:
            raise OSError(str(error)) from error
        if document.get("errors"):
            raise ValueError(json.dumps(document["errors"]))
        data: dict[str, Any] = document["data"]
        return data

    def answers(self) -> bool:
        """True when the page can be opened."""
        try:
            self.ask("{ version }")
        except (OSError, ValueError):
            return False
        return True

    def load_errors(self) -> list[str]:
        """Return why definitions could not be loaded; empty when all is well.

        Raises:
            OSError: the page does not answer.
        """
        data = self.ask(
            "{ workspaceOrError { __typename ... on PythonError { message } ... on Workspace {"
            " locationEntries { locationOrLoadError { __typename"
            " ... on PythonError { message errorChain { error { message } } } } } } } }"
        )
        workspace = data["workspaceOrError"]
        if workspace["__typename"] == "PythonError":
            return [workspace["message"]]
        entries = [entry["locationOrLoadError"] for entry in workspace["locationEntries"]]
        return [
            "\n".join([e["message"].strip(), *(c["error"]["message"] for c in e["errorChain"])])
            for e in entries
            if e and e["__typename"] == "PythonError"
        ]

    def daemon_beats_since(self, moment: float) -> bool:
        """True when the daemon that runs sensors gave a sign of life after ``moment``.

        ``moment`` is in seconds since 1970. The page must answer; False when it does not.
        """
        query = (
            "{ instance { daemonHealth { allDaemonStatuses { daemonType lastHeartbeatTime } } } }"
        )
        try:
            statuses = self.ask(query)["instance"]["daemonHealth"]["allDaemonStatuses"]
        except (OSError, ValueError):
            return False
        return any(
            status["daemonType"] == SENSOR_DAEMON and (status["lastHeartbeatTime"] or 0) > moment
            for status in statuses
        )
