"""The OpenAPI document of the collector, and a page that shows it without anybody's CDN."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from typing import Any, Final

from ingest.collector import segment, statuses
from ingest.collector.reasons import REASONS
from ingest.contracts.exact import TENANT
from ingest.contracts.json_schema import payload_json_schema
from ingest.contracts.model import Contract

_SERVER_SET: Final = frozenset({TENANT, "received_at", "request_id", "write_key_id"})

_ERROR: Final = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string", "description": "For programs."},
        "message": {"type": "string", "description": "For people."},
        "request_id": {"type": "string"},
    },
}
_VERDICTS: Final = {
    "type": "object",
    "required": ["request_id", "accepted", "rejected", "events"],
    "properties": {
        "request_id": {"type": "string", "description": "Also in the column request_id."},
        "accepted": {"type": "integer"},
        "rejected": {"type": "integer"},
        "events": {
            "type": "array",
            "description": "One for each event, in the order of the request.",
            "items": {
                "type": "object",
                "required": ["event_id", "status"],
                "properties": {
                    "event_id": {"type": ["string", "null"]},
                    "status": {"enum": ["accepted", "rejected"]},
                    "reason": {"enum": list(REASONS)},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_MESSAGE: Final = {
    "type": "object",
    "description": "A message as https://segment.com/docs/connections/spec/ has it.",
    "properties": {
        "type": {"enum": list(segment.TYPES)},
        "messageId": {"type": "string"},
        "anonymousId": {"type": "string"},
        "userId": {"type": "string"},
        "event": {"type": "string"},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object"},
        "timestamp": {"type": "string"},
        "sentAt": {"type": "string"},
        "writeKey": {"type": "string"},
    },
}


def openapi_document(contracts: Sequence[Contract]) -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    segment_paths = {
        path: {"post": _operation(*_segment_form(kind), statuses.SEGMENT, f"Segment's {path}.")}
        for path, kind in segment.PATHS
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lakeward collector",
            "version": version("lakeward"),
            "description": "Takes events by HTTP. 2xx means that what is accepted is durable.",
        },
        "security": [{"basic": []}, {"bearer": []}, {"header": []}],
        "paths": {
            "/analytics": {
                "post": _operation(
                    "Entry",
                    _entries(contracts),
                    statuses.ANALYTICS,
                    "One event, or a list of events.",
                )
            },
            **segment_paths,
            "/v1/projects/{write_key}/settings": {
                "get": {
                    "summary": "What analytics.js asks for before it sends.",
                    "security": [],
                    "parameters": [
                        {
                            "name": "write_key",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "string", "minLength": 1},
                        }
                    ],
                    "responses": _responses(
                        {
                            200: "Settings.",
                            404: statuses.READ[404],
                            503: "The registry of write keys is away for too long.",
                        }
                    ),
                }
            },
            "/health": _page("Whether the process runs.", {200: "It does."}),
            "/readyz": _page("Whether events can be taken.", {200: "Yes.", 503: "No; says why."}),
            "/metrics": _page("Metrics for Prometheus.", {200: "Metrics."}, "text/plain"),
            "/openapi.json": _page("This document.", {200: "It."}),
            "/docs": _page("This document to read.", {200: "A page."}, "text/html"),
        },
        "components": {
            "schemas": {"Error": _ERROR, "Verdicts": _VERDICTS, "Message": _MESSAGE},
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The write key is the user; the password is empty.",
                },
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
            },
        },
    }


def _segment_form(kind: str | None) -> tuple[str, dict[str, Any]]:
    message = {"$ref": "#/components/schemas/Message"}
    if kind is not None:
        return "Message", message
    return "Batch", {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "items": message, "minItems": 1},
            "sentAt": {"type": "string"},
            "writeKey": {"type": "string"},
            "context": {"type": "object"},
        },
    }


def _entries(contracts: Sequence[Contract]) -> dict[str, Any]:
    entry = {"oneOf": [_entry(contract) for contract in contracts]}
    return {"oneOf": [entry, {"type": "array", "items": entry, "minItems": 1}]}


def _entry(contract: Contract) -> dict[str, Any]:
    payload = payload_json_schema(contract)
    del payload["$schema"], payload["$id"]
    payload["required"] = [name for name in payload["required"] if name not in _SERVER_SET]
    names = {field.payload_name for field in contract.fields if field.name in _SERVER_SET}
    payload["properties"] = {
        name: schema for name, schema in payload["properties"].items() if name not in names
    }
    return {
        "type": "object",
        "title": contract.name,
        "required": ["payload", "contract"],
        "additionalProperties": False,
        "properties": {"contract": {"const": contract.name}, "payload": payload},
    }


def _operation(
    title: str, schema: dict[str, Any], told: Mapping[int, str], summary: str
) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"title": title, **schema}}},
        },
        "responses": _responses(told),
    }


def _responses(told: Mapping[int, str]) -> dict[str, Any]:
    return {
        str(status): {
            "description": meaning,
            "content": {"application/json": {"schema": _schema_of(status)}},
        }
        for status, meaning in sorted(told.items())
    }


def _schema_of(status: int) -> dict[str, Any]:
    if status in (200, 207, 400, 422, 503):
        return {}
    return {"$ref": "#/components/schemas/Error"}


def _page(
    summary: str, told: Mapping[int, str], media_type: str = "application/json"
) -> dict[str, Any]:
    responses = {
        str(status): {"description": meaning, "content": {media_type: {}}}
        for status, meaning in told.items()
    }
    return {"get": {"summary": summary, "security": [], "responses": responses}}


_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>lakeward collector</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font-family: ui-monospace, monospace }
pre { background: #f4f4f4; padding: .75rem; overflow-x: auto; max-height: 24rem }
td { padding: .15rem .75rem .15rem 0; vertical-align: top }
details { margin: .75rem 0 }
summary { cursor: pointer; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  body { background: #111; color: #eee }
  pre { background: #222 }
}
</style></head><body>
"""


def openapi_page(document: Mapping[str, Any]) -> str:
    """Return the document as a page that needs nothing but itself."""
    info = document["info"]
    parts = [_HEAD, f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"]
    parts.append(f"<p>{escape(info['description'])} <a href='openapi.json'>openapi.json</a></p>")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<details><summary><code>{method.upper()} {escape(path)}</code> ")
            parts.append(f"{escape(operation['summary'])}</summary><table>")
            for status, response in operation["responses"].items():
                told = escape(response["description"])
                parts.append(f"<tr><td><code>{status}</code></td><td>{told}</td></tr>")
            parts.append("</table>")
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                parts.append(f"<pre>{escape(_indented(schema))}</pre>")
            parts.append("</details>")
    return "".join([*parts, "</body></html>\n"])


def _indented(value: object) -> str:
    return json.dumps(value, indent=2)
