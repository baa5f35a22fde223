"""The collector as an ASGI app: its routes and what answers them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from ingest.collector import segment
from ingest.collector.collecting import Analytics, Collecting, Parts, Segment
from ingest.collector.openapi import openapi_document, openapi_page
from ingest.collector.readiness import Readiness
from ingest.collector.segment_settings import SegmentSettings

COLLECT = ["POST", "OPTIONS"]
ANALYTICS: Final = "/analytics"
EVENT_PATHS: Final = frozenset({ANALYTICS, *(path for path, _ in segment.PATHS)})
"""The paths that take events."""


class _Front:
    """Leads straight to the endpoints that take events; Starlette answers all else.

    Its two middlewares and its list of patterns would cost such a request about as much as
    checking its event does; the endpoints answer every error themselves.
    """

    def __init__(self, endpoints: Mapping[str, Collecting], rest: Starlette) -> None:
        self._endpoints = endpoints
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in COLLECT:
            endpoint = self._endpoints.get(scope["path"])
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await self._rest(scope, receive, send)


def build_app(
    parts: Parts,
    readiness: Readiness,
    *,
    public_url: str | None = None,
    lifespan: Lifespan[Starlette] | None = None,
) -> ASGIApp:
    """Return the app; nothing runs yet."""
    document = openapi_document(tuple(intake.contract for intake in parts.intakes.values()))
    page = openapi_page(document)

    def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def ready(_: Request) -> Response:
        told = readiness.told()
        status = HTTPStatus.OK if told["is_ready"] else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(told, status)

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        body = encode(parts.watch.registry)
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    def openapi(_: Request) -> Response:
        return JSONResponse(document)

    def docs(_: Request) -> Response:
        return Response(page, media_type="text/html")

    async def told_as_json(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).name.lower()
        message = error.detail
        if error.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
            message = "there is no such page; /docs shows those that there are"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            message = f"this page takes {(error.headers or {}).get('Allow')}"
        body = {"code": code, "message": message}
        return JSONResponse(body, error.status_code, headers=error.headers)

    endpoints: dict[str, Collecting] = {
        ANALYTICS: Analytics(parts, ANALYTICS),
        **{path: Segment(parts, path, kind) for path, kind in segment.PATHS},
    }
    routes: list[BaseRoute] = [
        *(Route(path, endpoint, methods=COLLECT) for path, endpoint in endpoints.items()),
        Route(
            "/v1/projects/{write_key}/settings",
            SegmentSettings(parts.keys, parts.cors, public_url).__call__,
        ),
        Route("/health", health),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/openapi.json", openapi),
        Route("/docs", docs),
    ]
    rest = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: told_as_json}
    )
    rest.router.redirect_slashes = False  # by the Host header, to wherever a client says
    return _Front(endpoints, rest)
