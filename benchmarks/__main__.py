"""Run every benchmark, or those that are named; one alone may be given options of its own."""

from __future__ import annotations

import pkgutil
import signal
import sys
import traceback
from importlib import import_module

import benchmarks

NOT_A_BENCHMARK = {"__main__", "report", "rig"}
ONLY_BY_NAME = {"chaos", "charts"}
"""Half an hour of broken brokers is not what someone wants who asks for the figures; charts want a
lake."""


def main() -> None:
    """Import each module and call its ``main``, one after the other.

    A benchmark that fails does not keep the others from running; the exit code tells.
    """
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
    # whoever is told to end still stops its brokers and removes its folders
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = []
    for name in wanted:
        sys.argv[1:] = options
        try:
            import_module(f"benchmarks.{name}").main()
        except Exception:  # noqa: BLE001 - the others still have something to say
            traceback.print_exc()
            failed.append(name)
    if failed:
        sys.exit(f"no figures from: {', '.join(failed)}")


if __name__ == "__main__":
    main()
