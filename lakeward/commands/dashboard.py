"""``lakeward dashboard``: gold and the live views in a browser."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from lakeward.commands.write import LogFormat

if TYPE_CHECKING:
    from lake.tenant_share import TenantShare
    from lakeward.signals import Start
    from serving.dashboard.server import Wishes

logger = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(dashboard)


def dashboard(
    host: Annotated[
        str, typer.Option(help="Where to listen. There is no login: keep it private.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="The port; 0 takes any. [default: 8050 or the next free one]"
        ),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="Show only this tenant's rows, up to the last build."),
    ] = None,
    refresh: Annotated[
        int,
        typer.Option(min=1, max=3600, help="Seconds after which an open page looks for new data."),
    ] = 30,
    log_format: Annotated[
        LogFormat, typer.Option(help="How to write log lines to standard error.")
    ] = LogFormat.text,
) -> None:
    """Show gold and the live views in a browser: live, web, marketing, product, data quality.

    Reads only, and goes on while a build runs. Runs until Ctrl-C or SIGTERM.
    """
    from lakeward.signals import Start
    from serving.dashboard.server import Wishes

    with Start() as start:
        _dashboard(start, Wishes(host, port, tenant, refresh), as_json=log_format is LogFormat.json)
    if start.was_ended:
        logger.info("dashboard_ends", extra={"why": "told to end before it listened"})


def _dashboard(start: Start, wishes: Wishes, *, as_json: bool) -> None:
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import errors
    from lakeward.logs import set_up_logging
    from lakeward.tenant import share_for
    from serving.dashboard.server import serve

    set_up_logging(as_json=as_json)
    settings = LakeSettings()
    lake = Lake(settings.root)

    def share() -> TenantShare | None:
        return None if wishes.tenant is None else share_for(lake, wishes.tenant)

    def tell(url: str) -> None:
        start.is_over()
        if as_json:
            return
        errors.print(f"the dashboard is at {url}  (Ctrl-C ends it)", highlight=False)
        if not wishes.is_private:
            errors.print(
                f"it has no login: whoever reaches port {url.rsplit(':', 1)[1].strip('/')} of this "
                "machine sees everything on it",
                style="yellow",
            )

    serve(lake, wishes, share, data_docs=settings.home / "data_docs", on_listening=tell)
