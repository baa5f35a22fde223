"""The ``lakeward`` command."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

import typer
from rich.markup import escape

import lakeward.commands
from ingest.errors import LakewardError
from lakeward.console import errors

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def build_app() -> typer.Typer:
    """Return the app with the commands of every module in ``lakeward.commands``."""
    app = typer.Typer(
        name="lakeward",
        help="A batch-plus-stream lakehouse for event analytics: Kafka to Delta exactly once.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for module in sorted(m.name for m in pkgutil.iter_modules(lakeward.commands.__path__)):
        import_module(f"lakeward.commands.{module}").register(app)
    return app


def main() -> None:
    """Run the command line; what a user can mend is one message and exit code 2."""
    try:
        build_app()()
    except LakewardError as error:
        # a message of DuckDB's may quote a value, which came from outside
        from lake.dead_letters.readable import printable

        told = escape(printable(error.message))
        errors.print(f"[bold red]error:[/] {told}", highlight=False, soft_wrap=True)
        if error.hint:
            errors.print(f"  {escape(error.hint)}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        errors.print("interrupted")
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
