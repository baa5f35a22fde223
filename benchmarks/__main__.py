"""Run every benchmark, or the one that is named."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

import benchmarks

NOT_A_BENCHMARK = {"__main__", "report"}


def main() -> None:
    """Import each module and call its ``main``, one after the other."""
    names = sorted(
        m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in NOT_A_BENCHMARK
    )
    wanted = sys.argv[1:] or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        sys.exit(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(names)}")
    for name in wanted:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
