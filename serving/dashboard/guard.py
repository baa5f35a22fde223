"""What holds for every answer: who may call, and what a browser may do with it."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DOCS_POLICY: Final = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
"""Data Docs are pages of their own, with their style in them and without scripts."""


class Guard:
    """Middleware: refuses a foreign host name, and adds the security headers.

    A page elsewhere can have its own name lead to this machine (DNS rebinding), and would then
    read the dashboard with the browser of somebody who may; the name in ``Host`` gives it away.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        policy = DOCS_POLICY if path.startswith("/data-docs") else POLICY

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, "content-security-policy": policy})
                if path.startswith("/assets/") and scope["query_string"]:
                    headers["cache-control"] = "max-age=31536000, immutable"
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        if self._hosts is not None and _name(Headers(scope=scope)) not in self._hosts:
            refusal = PlainTextResponse(
                "This dashboard does not answer to that host name.\n",
                HTTPStatus.MISDIRECTED_REQUEST,
            )
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def _name(headers: Headers) -> str:
    """Return the host that was called, without the port."""
    host = headers.get("host", "").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
