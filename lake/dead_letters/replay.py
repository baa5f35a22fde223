"""Take dead letters once more: mend them, decode them as the writer does, land what is a row.

What lands, lands once (``lake.dead_letters.landing``). What is a dead letter still keeps what it
was, and the failure is added to its history.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from ingest.contracts.registry import ContractSet
from lake.dead_letters.chunks import by_topic, gathered, limited
from lake.dead_letters.outcome import Replayed
from lake.dead_letters.plan import ReplayPlan
from lake.dead_letters.reading import LetterReader
from lake.dead_letters.way import Way
from lake.tables import Lake


def replay(
    lake: Lake,
    contracts: ContractSet,
    known_tenants: frozenset[str] | None,
    plan: ReplayPlan,
    run_id: str,
    *,
    now: Callable[[], datetime],
    on_progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
    should_stop: Callable[[], bool] = lambda: False,
) -> Replayed:
    """Replay the letters that are no rows yet.

    May run beside the writer, compaction and other replays, and may be killed and run again.

    Args:
        lake: which lake.
        contracts: by what to decode.
        known_tenants: a letter of another tenant fails; None: every tenant is known.
        plan: which letters, and how.
        run_id: names this run in the history.
        now: stamps commits and history.
        on_progress: called with how many letters are done and how many there are.
        should_stop: asked between two commits.

    Raises:
        ReplayError: the mending file is for another contract.
        MissingTableError: no writer has run yet.
        CommitError: others kept committing; what was replayed before is done.
    """
    selection = plan.letters()
    done = Replayed(run_id, plan.dry_run)
    ways: dict[str, Way] = {}
    with LetterReader(lake) as reader, ExitStack() as open_ways:
        total = min(reader.count(selection), plan.limit or sys.maxsize)
        for letters in limited(gathered(reader.whole(selection)), plan.limit):
            for name, theirs in by_topic(letters):
                if should_stop():
                    return replace(done, is_finished=False)
                if name not in ways:
                    contract = next((c for c in contracts if c.name == name), None)
                    ways[name] = Way(lake, name, contract, known_tenants, plan, run_id, now)
                    open_ways.callback(ways[name].close)
                done = ways[name].take(theirs, done)
                on_progress(done.taken, total)
    return done
