"""Run every benchmark, or those that are named; one alone may be given options of its own."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

import benchmarks

NOT_A_BENCHMARK = {"__main__", "report", "rig"}
ONLY_BY_NAME = {"chaos"}
"""Half an hour of broken brokers is not what someone wants who asks for the figures."""


def main() -> None:
    """Import each module and call its ``main``, one after the other."""
    names = sorted(
        m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in NOT_A_BENCHMARK
    )
    arguments = sys.argv[1:]
    at = next((n for n, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    everything = [name for name in names if name not in ONLY_BY_NAME]
    wanted, options = arguments[:at] or everything, arguments[at:]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        sys.exit(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(names)}")
    if options and len(wanted) != 1:
        sys.exit("options are for one benchmark: name it before them")
    for name in wanted:
        sys.argv[1:] = options
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
