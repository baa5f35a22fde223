"""Dead letters on the terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from lakeward.console import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lake.dead_letters.letter import Letter
    from lake.dead_letters.outcome import Replayed, Trial

STANDINGS = ("waiting", "failed", "replayed")
_COLOURS = {"waiting": "yellow", "failed": "red", "replayed": "green"}


def letters_table(letters: Sequence[Letter]) -> Table:
    """Return one line a letter."""
    from rich.filesize import decimal

    from lake.dead_letters.readable import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("letter", overflow="fold")
    for name in ("reason", "tenant", "outcome"):
        table.add_column(name, overflow="fold")
    table.add_column("tries", justify="right")
    table.add_column("in Kafka (UTC)", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    for one in letters:
        reason = one.reason
        if one.last_reason not in (None, one.reason) and one.standing == "failed":
            reason += f", then {one.last_reason}"
        table.add_row(
            one.address,
            reason,
            Text("-" if one.tenant_id is None else printable(one.tenant_id)),
            Text(one.standing, style=_COLOURS[one.standing]),
            f"{one.attempts}",
            f"{one.appended_at:%Y-%m-%d %H:%M:%S}",
            "-" if one.size is None else decimal(one.size),
        )
    return table


def letter_document(one: Letter) -> dict[str, Any]:
    """Return a letter without its bytes as JSON values."""
    return {
        "letter": one.address,
        "contract": one.contract,
        "topic": one.source.topic,
        "topic_id": one.source.topic_id,
        "partition": one.source.partition,
        "offset": one.offset,
        "reason": one.reason,
        "detail": one.detail,
        "tenant_id": one.tenant_id,
        "contract_version": one.contract_version,
        "appended_at": _time(one.appended_at),
        "committed_at": _time(one.committed_at),
        "bytes": one.size,
        "outcome": one.standing,
        "attempts": one.attempts,
        "last_reason": one.last_reason,
        "last_at": _time(one.last_at),
    }


def whole_document(row: dict[str, Any]) -> dict[str, Any]:
    """Return a letter with its bytes as JSON values."""
    from lake.dead_letters.export import as_document

    return as_document(row)


def print_letter(row: dict[str, Any]) -> None:
    """Print a letter with everything."""
    from lake.dead_letters.readable import headers_of, printable, readable

    facts = {
        "letter": f"{row['_topic']}:{row['_partition']}:{row['_offset']}",
        "topic id": row["_topic_id"],
        "contract": f"{row['contract']} {row['_contract_version']}",
        "reason": f"{row['reason']}: {row['detail']}",
        "tenant": row["tenant_id"] or "-",
        "in Kafka": _time(row["_appended_at"]),
        "in the lake": _time(row["_committed_at"]),
        "outcome": f"{row['standing']}, tries: {row['all_attempts']}",
    }
    for name, value in facts.items():
        console.print(Text(f"  {name:<12} "), Text(printable(str(value))), sep="", soft_wrap=True)
    history = row["history"] or []
    if history:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="history", title_justify="left")
        for name in ("when (UTC)", "outcome", "why", "run", "version", "mending"):
            table.add_column(name, overflow="fold")
        for one in history:
            why = ": ".join(part for part in (one["reason"], one["detail"]) if part)
            cells = (
                f"{one['happened_at']:%Y-%m-%d %H:%M:%S}",
                one["outcome"],
                why or "-",
                one["run_id"],
                "-" if one["version"] is None else str(one["version"]),
                one["mending"] or "-",
            )
            table.add_row(*(Text(printable(cell)) for cell in cells))
        console.print(table)
    for name, content in (("key", readable(row["key"])), *headers_of(row["headers"])):
        label = name if name == "key" else f"header {name}"
        console.print(Text(f"  {label:<12} {content.text or '-'}"), soft_wrap=True)
    payload = readable(row["payload"])
    if payload.form == "nothing":
        console.print(Text("  payload      none: a tombstone"))
        return
    console.print(Text(f"  payload      {payload.size:,} bytes, {payload.form}"))
    console.print(Text(payload.text), soft_wrap=True)
    if payload.is_cut:
        console.print("  ... cut here; `lakeward dead-letters export` has all of it", style="dim")


def counts_table(name: str, counts: Mapping[tuple[str | None, str], int]) -> Table:
    """Return one line a value: how many letters, and what became of them."""
    from lake.dead_letters.readable import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(name, overflow="fold")
    for standing in (*STANDINGS, "all"):
        table.add_column(standing, justify="right")
    for key, cells in _rows(counts):
        label = "none" if key is None else printable(key)
        table.add_row(Text(label), *(f"{cells[s]:,}" for s in (*STANDINGS, "all")))
    return table


def counts_document(counts: Mapping[tuple[str | None, str], int]) -> list[dict[str, Any]]:
    """Return counts as JSON values."""
    return [{"value": key, **cells} for key, cells in _rows(counts)]


def _rows(
    counts: Mapping[tuple[str | None, str], int],
) -> list[tuple[str | None, dict[str, int]]]:
    found: dict[str | None, dict[str, int]] = {}
    for (key, standing), count in counts.items():
        cells = found.setdefault(key, dict.fromkeys((*STANDINGS, "all"), 0))
        cells[standing] += count
        cells["all"] += count
    return sorted(found.items(), key=lambda item: (-item[1]["all"], item[0] or ""))


def print_replayed(done: Replayed) -> None:
    """Print what a replay came to, and the letters that it shows."""
    for one in done.trials:
        _print_trial(one)
    failed = sum(done.failed.values())
    would = "would be " if done.dry_run else ""
    rest = done.were_there + done.unsettled
    console.print(
        f"{done.taken:,} letters: {done.replayed.total():,} {would}replayed, {failed:,} "
        f"{would}dead letters still" + (f", {rest:,} left alone" if rest else ""),
        highlight=False,
        soft_wrap=True,
    )
    for reason, count in done.failed.most_common():
        console.print(f"  {reason} {count:,}", highlight=False)
    if done.were_there:
        console.print(f"  {done.were_there:,} were rows already", highlight=False)
    if done.unsettled:
        console.print(
            f"  {done.unsettled:,} the writer is about to take up itself", highlight=False
        )
    if done.dry_run:
        console.print("a dry run: nothing was changed")
    elif done.replayed.total():
        console.print(
            f"run {done.run_id}; `lakeward build` brings the rows into silver and gold",
            highlight=False,
        )


def _print_trial(one: Trial) -> None:
    from lake.dead_letters.readable import printable, readable
    from lakeward.rows import as_json

    console.rule(Text(printable(f"{one.address}  {one.contract}")), align="left")
    before = readable(one.before)
    console.print(Text("before"), style="dim")
    console.print(Text(before.text or "nothing: a tombstone"), soft_wrap=True)
    if one.after is not None and one.after != one.before:
        console.print(Text("after"), style="dim")
        console.print(Text(readable(one.after).text), soft_wrap=True)
    if one.row is None:
        console.print(Text(f"still a dead letter: {one.reason}: {one.detail}", style="red"))
        return
    console.print(Text("a row", style="green"))
    cells = ", ".join(
        f"{name}={as_json(value)}"
        for name, value in one.row.items()
        if value is not None and not name.startswith("_topic")
    )
    console.print(Text(printable(cells)), soft_wrap=True)


def replayed_document(done: Replayed) -> dict[str, Any]:
    """Return what a replay came to as JSON values."""
    from lake.dead_letters.export import as_document
    from lake.dead_letters.readable import readable

    return {
        "run": done.run_id,
        "dry_run": done.dry_run,
        "finished": done.is_finished,
        "taken": done.taken,
        "replayed": done.replayed.total(),
        "by_contract": dict(done.replayed),
        "were_there": done.were_there,
        "unsettled": done.unsettled,
        "failed": dict(done.failed),
        "sample": [
            {
                "letter": one.address,
                "contract": one.contract,
                "before": readable(one.before).text,
                "after": None if one.after is None else readable(one.after).text,
                "verdict": "row" if one.row is not None else "dead_letter",
                "reason": one.reason,
                "detail": one.detail,
                "row": None
                if one.row is None
                else {k: _plain(v) for k, v in as_document(dict(one.row)).items()},
            }
            for one in done.trials
        ],
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
