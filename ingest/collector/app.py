"""The collector as an ASGI app: its routes and what answers them."""

from __future__ import annotations

from http import HTTPStatus

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Lifespan

from ingest.collector import segment
from ingest.collector.collecting import Analytics, Parts, Segment
from ingest.collector.openapi import openapi_document, openapi_page
from ingest.collector.readiness import Readiness
from ingest.collector.segment_settings import SegmentSettings

COLLECT = ["POST", "OPTIONS"]


def build_app(
    parts: Parts,
    readiness: Readiness,
    *,
    public_url: str | None = None,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
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
        body = {"code": code, "message": error.detail}
        return JSONResponse(body, error.status_code, headers=error.headers)

    routes: list[BaseRoute] = [
        Route("/analytics", Analytics(parts, "/analytics"), methods=COLLECT),
        *(Route(path, Segment(parts, path, kind), methods=COLLECT) for path, kind in segment.PATHS),
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
    return Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: told_as_json}
    )
