"""The table of faults by kind with what was seen of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.chaos.campaign import Result
from benchmarks.chaos.faults import RIVAL, ZOMBIE
from benchmarks.chaos.log_lines import NOISE
from benchmarks.report import Figure

HEAD = ("lake", "fault", "what was done", "times", "what was seen", "moved on after", "at most")
ALIGN = ("---", "---", "---", "---:", "---", "---:", "---:")
TOLD = (
    ("fences", "fenced"),
    ("commits of unknown outcome", "commit_outcome_unknown"),
    ("waits for the lake", "lake_away"),
    ("beginnings put off", "cannot_begin"),
    ("pauses at full buffers", "paused"),
    ("partitions lost", "partitions_lost"),
)
"""What the writers' logs are searched for, and the name of the line."""


@dataclass(slots=True)
class Tally:
    """All faults of one kind on one lake."""

    what: str = ""
    faults: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    moved_on: list[float] = field(default_factory=list)


def tallies(result: Result) -> dict[str, Tally]:
    """Return the faults by kind, sorted by name."""
    found: defaultdict[str, Tally] = defaultdict(Tally)
    for case, moved_on in zip(result.cases, result.moved_on, strict=True):
        tally = found[case.kind]
        tally.what = case.what
        tally.faults += 1
        tally.seen.update(case.seen)
        if moved_on is not None:
            tally.moved_on.append(moved_on)
    return dict(sorted(found.items()))


def table(results: Sequence[Result]) -> str:
    """Return Markdown: a row a kind, and what it all came to."""
    lines = [_row(HEAD), _row(ALIGN)]
    for result in results:
        for name, tally in tallies(result).items():
            seen = "; ".join(f"{fact} {n}" for fact, n in tally.seen.most_common())
            times = [f"{f(tally.moved_on):.1f} s" if tally.moved_on else "" for f in (median, max)]
            kept = result.options.kept
            lines.append(_row((kept, name, tally.what, str(tally.faults), seen, *times)))
    lines.append(
        "\n*Moved on after*: from the end of a fault until every partition had a newer offset in "
        "the lake, median and longest; other faults may hold meanwhile."
    )
    for result in results:
        lines += ["", *_summary(result)]
    return "\n".join(lines)


def _summary(result: Result) -> list[str]:
    v, o = result.verdict, result.options
    told = ", ".join(f"{heading} {result.events[event]:,}" for heading, event in TOLD)
    ends = ", ".join(f"{how} {n}" for how, n in result.exits.most_common())
    last = ", ".join(f"{how} {n}" for how, n in result.last_ends.most_common())
    audit = "clean" if result.audit["is_clean"] else "NOT clean"
    lines = [
        f"**{o.kept}**, seed {o.seed}: {len(result.cases)} faults in {result.seconds:.0f} s. "
        f"{v.acknowledged:,} messages acknowledged; {v.in_kafka:,} in Kafka ({v.surfaced} without "
        f"an answer to their producer, {len(v.resent)} events at two offsets; {result.replaced} "
        "producers replaced); in the lake "
        f"{v.rows:,} rows + {v.dead:,} dead letters; {v}; `lakeward audit`: {audit}.",
        f"{result.commits:,} commits by {result.starts} processes; {told}. "
        f"The processes ended by {ends}; the last ones, asked to end, by {last}.",
    ]
    noise = (f"{result.noise[name]} {name}" for name in NOISE)
    lines.append(f"Beside their log lines the processes left {', '.join(noise)}.")
    lines += [f"Left out: {why}." for why in result.skipped]
    return lines


def figures(results: Sequence[Result], *, brokers: int) -> list[Figure]:
    """Return what ``chaos.json`` holds."""
    events = sum((r.events for r in results), Counter[str]())
    verdicts = [r.verdict for r in results]
    findings = sum(len(r.audit["findings"]) for r in results)
    kinds: defaultdict[str, Tally] = defaultdict(Tally)
    for result in results:
        for name, tally in tallies(result).items():
            kinds[name].faults += tally.faults
            kinds[name].seen += tally.seen
            kinds[name].moved_on += tally.moved_on
    zombies = sum(
        n
        for name in (ZOMBIE, RIVAL)
        for fact, n in kinds[name].seen.items()
        if fact.endswith(": fenced")
    )
    return [
        Figure("brokers", brokers, "brokers"),
        Figure("faults", sum(t.faults for t in kinds.values()), "faults", bar=500),
        Figure("acknowledged messages", sum(v.acknowledged for v in verdicts), "messages"),
        Figure(
            "lost", sum(len(v.lost) for v in verdicts), "messages", bar=0, higher_is_better=False
        ),
        Figure(
            "twice", sum(len(v.twice) for v in verdicts), "messages", bar=0, higher_is_better=False
        ),
        Figure(
            "never sent",
            sum(len(v.strange) for v in verdicts),
            "messages",
            bar=0,
            higher_is_better=False,
        ),
        Figure("sent twice by a producer", sum(len(v.resent) for v in verdicts), "messages"),
        Figure("findings of the audit", findings, "findings", bar=0, higher_is_better=False),
        Figure("zombies that committed late and were fenced", zombies, "zombies", bar=1),
        *(Figure(heading, events[event], "times") for heading, event in TOLD),
        Figure("processes started", sum(r.starts for r in results), "processes"),
        *(Figure(name, tally.faults, "faults") for name, tally in sorted(kinds.items())),
        *(
            Figure(f"{name}: {fact}", n, "times")
            for name, tally in sorted(kinds.items())
            for fact, n in tally.seen.most_common()
        ),
        *(
            Figure(f"{name}: every partition moved on after, at most", max(tally.moved_on), "s")
            for name, tally in sorted(kinds.items())
            if tally.moved_on
        ),
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
