"""The command reference page, as the program itself tells it."""

from __future__ import annotations

import typer
import typer.cli

from lakeward.__main__ import build_app


def cli_reference() -> str:
    """Return docs/reference/cli.md: every command, its arguments and options."""
    command = typer.main.get_command(build_app())
    context = typer.Context(command, info_name="lakeward")
    text = typer.cli.get_docs_for_click(obj=command, ctx=context, name="lakeward")
    for name, one in command.commands.items():  # type: ignore[attr-defined]
        # typer cuts these lines off at 45 characters
        short, whole = one.get_short_help_str(), (one.help or "").split("\n\n")[0]
        text = text.replace(f"* `{name}`: {short}", f"* `{name}`: {' '.join(whole.split())}", 1)
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
