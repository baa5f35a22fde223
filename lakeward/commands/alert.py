"""``lakeward alert``: try where alerts go."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(alert)


def alert() -> None:
    """Send a test message to each of LAKEWARD_ALERT_URLS, and say which of them took it."""
    from lakeward.console import console, errors
    from orchestration.alerts import Alert, send
    from orchestration.errors import AlertError
    from orchestration.settings import OrchestrationSettings

    urls = OrchestrationSettings().alert_addresses
    if not urls:
        raise AlertError(
            "there is nobody to tell: LAKEWARD_ALERT_URLS is empty",
            hint="for example json://127.0.0.1:8080/hook or "
            "slack://TokenA/TokenB/TokenC, with a space between two",
        )
    test = Alert(
        "lakeward: a test alert",
        "Somebody ran `lakeward alert`. Alerts of failed runs arrive like this one.",
    )
    failed = 0
    for delivery in send(urls, test):
        if delivery.error is None:
            console.print(f"sent to URL {delivery.place}", highlight=False)
        else:
            failed += 1
            errors.print(
                f"URL {delivery.place}: {delivery.error}",
                style="red", markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip
    if failed:
        raise typer.Exit(1)
