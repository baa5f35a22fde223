"""The collector's server with an endpoint that only reads the body: what HTTP alone costs.

python -m benchmarks.rig.noop_server PORT
"""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.collector.http_protocol import BoundedHttpProtocol


async def _noop(request: Request) -> Response:
    await request.body()
    return Response(b"{}", media_type="application/json")


def main() -> None:
    """Serve until told to end."""
    app = Starlette(routes=[Route("/analytics", _noop, methods=["POST"])])
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        http=BoundedHttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
