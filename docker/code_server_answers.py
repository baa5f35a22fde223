"""Ask the server that holds Dagster's definitions whether it serves, as `dagster api` would.

That command takes three seconds of CPU to start; a container asks again and again.
"""

from __future__ import annotations

import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

SERVICE = "DagsterApi"
TIMEOUT_S = 10


def main(port: int) -> None:
    """End with 1 unless the server of this container says that it serves."""
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(service=SERVICE), TIMEOUT_S)
        except grpc.RpcError as error:
            sys.exit(f"no answer: {error.code()}")
    if answer.status != HealthCheckResponse.SERVING:
        sys.exit(f"it does not serve: status {answer.status}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
