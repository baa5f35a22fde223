"""What analytics.js asks its CDN for before it sends: where to, and with which plugins.

The form is that of https://cdn.segment.com/v1/projects/<write key>/settings, as
``@segment/analytics-next`` reads it.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ingest.collector.answer import Cors
from ingest.collector.collecting import Keys, registry_away

MAX_AGE_SECONDS = 300


class SegmentSettings:
    """``GET /v1/projects/{write_key}/settings``."""

    def __init__(self, keys: Keys, cors: Cors, public_url: str | None) -> None:
        self._keys = keys
        self._cors = cors
        self._public_url = public_url

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        origin = request.headers.get("origin")
        headers = {} if origin is None else self._cors_headers(origin)
        secret = request.path_params["write_key"]
        if self._keys.is_too_old:
            away = registry_away()
            headers["retry-after"] = str(away.retry_after)
            told = {"code": away.code, "message": away.message}
            return JSONResponse(told, away.status, headers=headers)
        if self._keys.authenticate(secret) is None:
            told = {"code": "not_found", "message": "the write key is not known, or it has ended"}
            return JSONResponse(told, HTTPStatus.NOT_FOUND, headers=headers)
        where = urlsplit(self._public_url or str(request.base_url))
        path = where.path.rstrip("/")
        document = {
            "integrations": {
                "Segment.io": {
                    "apiKey": secret,
                    "apiHost": f"{where.netloc}{path}/v1",
                    "protocol": where.scheme,
                    "unbundledIntegrations": [],
                    "addBundledMetadata": True,
                    "maybeBundledConfigIds": {},
                }
            },
            "plan": {
                "track": {"__default": {"enabled": True, "integrations": {}}},
                "identify": {"__default": {"enabled": True}},
                "group": {"__default": {"enabled": True}},
            },
            "metrics": {"sampleRate": 0},
            "edgeFunction": {},
            "analyticsNextEnabled": True,
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "remotePlugins": [],
            "legacyVideoPluginsEnabled": False,
        }
        headers["cache-control"] = f"private, max-age={MAX_AGE_SECONDS}"
        return JSONResponse(document, headers=headers)

    def _cors_headers(self, origin: str) -> dict[str, str]:
        told = self._cors.headers(origin.encode("latin-1", "replace"))
        return {name.decode(): value.decode("latin-1") for name, value in told}
