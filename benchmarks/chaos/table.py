"""The table of faults by kind with what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.chaos.campaign import Result
from benchmarks.report import Figure

COLUMNS = (
    ("writers started", "partition_begins"),
    ("fences", "fenced"),
    ("unsure commits", "commit_outcome_unknown"),
    ("store waits", "lake_away"),
    ("pauses", "paused"),
)
"""Heading, and the event of the writer's log that it counts."""


def table(results: Sequence[Result]) -> str:
    """Return Markdown: a row a kind; the writers' log lines until the next fault beside it."""
    head = ["lake", "fault", "done", "times", *(h for h, _ in COLUMNS), "longest without a commit"]
    lines = [_row(head), _row(["---", "---", "---", *(["---:"] * (len(head) - 3))])]
    for result in results:
        for name, tally in sorted(result.kinds.items()):
            counts = [f"{tally.events[event]:,}" for _, event in COLUMNS]
            gap = f"{tally.longest_gap:.1f} s"
            lines.append(
                _row([result.options.kept, name, tally.what, str(tally.faults), *counts, gap])
            )
    for result in results:
        v, o = result.verdict, result.options
        ends = ", ".join(f"{how} {n}" for how, n in result.exits.most_common())
        lines.append(
            f"\n{o.kept}, seed {o.seed}: {o.faults} faults in {result.seconds:.0f} s; "
            f"{v.acknowledged:,} messages acknowledged = {v.rows:,} rows + {v.dead:,} dead letters "
            f"({v.surfaced} of them without an answer to their producer); {v}; audit "
            f"{'clean' if result.audit['is_clean'] else 'NOT clean'}; {result.commits:,} commits; "
            f"{result.starts} writers started, ended by {ends}"
        )
        lines += [f"left out: {why}" for why in result.skipped]
    return "\n".join(lines)


def figures(results: Sequence[Result], *, brokers: int) -> list[Figure]:
    """Return what ``chaos.json`` holds."""
    events = sum((t.events for r in results for t in r.kinds.values()), Counter[str]())
    faults: Counter[str] = Counter()
    gaps: dict[str, float] = {}
    for result in results:
        for name, tally in result.kinds.items():
            faults[name] += tally.faults
            gaps[name] = max(gaps.get(name, 0.0), tally.longest_gap)
    verdicts = [r.verdict for r in results]
    findings = sum(len(r.audit["findings"]) for r in results)
    none = {"bar": 0, "higher_is_better": False}
    return [
        Figure("brokers", brokers, "brokers"),
        Figure("faults", faults.total(), "faults", bar=500),
        Figure("acknowledged messages", sum(v.acknowledged for v in verdicts), "messages"),
        Figure("lost", sum(len(v.lost) for v in verdicts), "messages", **none),
        Figure("twice", sum(len(v.twice) for v in verdicts), "messages", **none),
        Figure("never sent", sum(len(v.strange) for v in verdicts), "messages", **none),
        Figure("findings of the audit", findings, "findings", **none),
        Figure("writers started", sum(r.starts for r in results), "processes"),
        Figure("fences", events["fenced"], "times"),
        Figure("commits of unknown outcome", events["commit_outcome_unknown"], "times"),
        *(Figure(f"{name}", n, "faults") for name, n in sorted(faults.items())),
        *(
            Figure(f"longest without a commit: {name}", gap, "s")
            for name, gap in sorted(gaps.items())
        ),
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
