"""The dashboard as an ASGI app: pages, the rows of their panels as JSON and CSV, the Data Docs."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan

from ingest.errors import LakewardError
from lake.errors import LakePathError, MissingTableError
from serving.dashboard.desk import Desk, Standing
from serving.dashboard.errors import BusyError, FilterError, SlowQueryError
from serving.dashboard.filters import DATES, Filters, read_filters
from serving.dashboard.guard import Guard
from serving.dashboard.page import Page
from serving.dashboard.pages import PAGES
from serving.dashboard.panel import Panel
from serving.dashboard.versions import TableVersion

PANELS: Final = {panel.name: (page, panel) for page in PAGES for panel in page.panels}
ASSETS: Final = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True)
class Shown:
    """What this dashboard shows."""

    tenant: str | None
    """Only this one; None: all."""
    refresh_s: int
    """How often a page asks whether there is something new."""
    data_docs: Path | None
    """Folder of the Data Docs; None where they are not for everybody who opens this."""
    hosts: Sequence[str] | None
    """Names by which a browser may call this; None: any."""
    now: Callable[[], datetime]


class Dashboard:
    """The handlers of the app."""

    def __init__(self, desk: Desk, shown: Shown) -> None:
        self._desk = desk
        self._shown = shown
        # what the assets are, in their addresses: a browser keeps them until they change
        texts = b"".join(path.read_bytes() for path in sorted(ASSETS.iterdir()))
        templates = Environment(
            loader=PackageLoader("serving.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.globals["assets"] = hashlib.sha256(texts).hexdigest()[:12]
        self._template = templates.get_template("page.html")

    async def page(self, request: Request) -> Response:
        """A page: its filters, and a place for each panel, which the browser then asks for."""
        page = next(one for one in PAGES if one.path == request.url.path)
        problem, filters, period = None, Filters(), None
        options: dict[str, list[str]] = {}
        status = HTTPStatus.OK
        try:
            filters = self._filters(request, page)
            options = await self._desk.options(page, filters)
            if page.has_dates:
                period = await self._desk.period(page, filters)
        except LakewardError as error:
            problem, status = error, _status(error)
            if not isinstance(error, FilterError):
                status = HTTPStatus.OK  # the page is there; its panels say the same
        picked = dict(filters.picked)
        body = self._template.render(
            page=page,
            pages=PAGES,
            panels=[] if isinstance(problem, FilterError) else self._panels(page),
            problem=problem,
            picked=picked,
            filters=[
                (one, with_picked(options.get(one.name, []), picked.get(one.name)))
                for one in self._options(page)
            ],
            period=period,
            query=urlencode([(n, v) for n, v in request.query_params.multi_items() if v]),
            tenant=self._shown.tenant,
            refresh=self._shown.refresh_s,
            has_docs=self._has_docs(),
        )
        return Response(body, status, media_type="text/html")

    async def panel(self, request: Request) -> Response:
        """The rows of a panel, or that they are those that the browser has."""
        page, panel = self._panel_of(request)
        filters = self._filters(request, page)
        standing = await self._desk.standing(page, panel)
        tag = _tag(panel, filters, standing)
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        found = await self._desk.panel(page, panel, filters)
        if found.note != standing.note:
            del headers["etag"]  # what failed just now is to be asked again
        body = {
            "columns": [
                {"name": one.name, "label": one.label, "form": one.form} for one in panel.columns
            ],
            "names": found.answer.columns,
            "rows": found.answer.rows,
            "tables": [_told(one) for one in found.answer.versions],
            "period": [found.period.first, found.period.last] if page.has_dates else None,
            "unheeded": panel.unheeded(filters),
            "note": found.note,
        }
        return Response(
            orjson.dumps(body, default=_number, option=orjson.OPT_UTC_Z),
            media_type="application/json",
            headers=headers,
        )

    async def export(self, request: Request) -> Response:
        """The rows of a panel as CSV, every digit kept."""
        page, panel = self._panel_of(request)
        found = await self._desk.panel(page, panel, self._filters(request, page))
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(found.answer.columns)
        writer.writerows([_text(value) for value in row] for row in found.answer.rows)
        name = panel.name
        if page.has_dates:
            name += f"_{found.period.first}_{found.period.last}"
        return Response(
            out.getvalue(),
            media_type="text/csv",
            headers={
                "content-disposition": f'attachment; filename="{name}.csv"',
                "cache-control": "no-store",
            },
        )

    async def freshness(self, _: Request) -> Response:
        """How new gold is, and what time it is here."""
        found = await self._desk.freshness()
        event, committed = found.rows[0]
        body = {
            "newest_event_at": event,
            "newest_committed_at": committed,
            "built_at": found.versions[0].committed_at,
            "now": self._shown.now(),
        }
        return Response(
            orjson.dumps(body, option=orjson.OPT_UTC_Z),
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    def _filters(self, request: Request, page: Page) -> Filters:
        known = [one.name for one in self._options(page)]
        if not page.has_dates:
            named = sorted(set(DATES) & set(request.query_params))
            if named:
                raise FilterError(
                    f"the page {page.title} has no filter {named[0]}",
                    hint="It always shows the newest events.",
                )
        return read_filters(request.query_params.multi_items(), known)

    def _options(self, page: Page) -> list[Any]:
        return [one for one in page.options if self._shown.tenant is None or one.name != "tenant"]

    def _panels(self, page: Page) -> list[Panel]:
        return [one for one in page.panels if self._shown.tenant is None or one.mart.is_shared]

    def _panel_of(self, request: Request) -> tuple[Page, Panel]:
        found = PANELS.get(request.path_params["name"])
        if found is None or found[1] not in self._panels(found[0]):
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such panel.")
        return found

    def _has_docs(self) -> bool:
        docs = self._shown.data_docs
        return docs is not None and (docs / "index.html").is_file()


def build_app(desk: Desk, shown: Shown, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """Return the app; nothing runs yet."""
    dashboard = Dashboard(desk, shown)

    def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def told(_: Request, error: Exception) -> Response:
        assert isinstance(error, LakewardError)
        body = {"message": error.message, "hint": error.hint}
        return JSONResponse(body, _status(error), headers={"cache-control": "no-store"})

    routes: list[BaseRoute] = [
        *(Route(page.path, dashboard.page) for page in PAGES),
        Route("/panels/{name}.json", dashboard.panel),
        Route("/panels/{name}.csv", dashboard.export),
        Route("/freshness.json", dashboard.freshness),
        Route("/health", health),
        Mount("/assets", StaticFiles(directory=ASSETS)),
    ]
    if shown.data_docs is not None:
        docs = StaticFiles(directory=shown.data_docs, html=True, check_dir=False)
        routes.append(Mount("/data-docs", docs))
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={LakewardError: told},
        middleware=[
            Middleware(Guard, hosts=shown.hosts),
            Middleware(GZipMiddleware, minimum_size=1024),
        ],
    )


def with_picked(options: list[str], picked: str | None) -> list[str]:
    """Return the values of a filter; one that is picked is among them whatever the tables hold."""
    return options if picked is None or picked in options else [picked, *options]


def _status(error: LakewardError) -> HTTPStatus:
    if isinstance(error, FilterError):
        return HTTPStatus.BAD_REQUEST
    if isinstance(error, MissingTableError):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, SlowQueryError):
        return HTTPStatus.GATEWAY_TIMEOUT
    if isinstance(error, BusyError | LakePathError):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _tag(panel: Panel, filters: Filters, standing: Standing) -> str:
    versions = [(one.table, one.id, one.version) for one in standing.versions]
    known = repr((panel, filters, versions, standing.note))
    return f'"{hashlib.sha256(known.encode()).hexdigest()[:32]}"'


def _told(one: TableVersion) -> dict[str, object]:
    return {"table": one.table, "version": one.version, "committed_at": one.committed_at}


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value)} is nothing that a panel shows")


def _text(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date | datetime) else value
