"""Break everything the writer stands on, hundreds of times, and count what came through.

``python -m benchmarks chaos --faults 500 --seed 1``; docs/concepts/chaos.md says what is
broken, how, and what came of it.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from benchmarks.chaos.command import run

    run()
