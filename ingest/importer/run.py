"""An import: each line of a file is sent, refused with a reason, or blank."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import IO, Final

import orjson

from ingest.contracts.model import Contract
from ingest.errors import ImportFileError
from ingest.importer.formats import Format
from ingest.importer.mapper import Mapper
from ingest.importer.mapping import Mapping
from ingest.importer.reasons import Refusal
from ingest.importer.records import Line, read_content, read_lines
from ingest.importer.state import ImportState, StateFolder
from ingest.message_key import message_key
from ingest.publisher import Publisher
from ingest.settings import IngestSettings

BATCH_LINES: Final = 5_000
"""Lines between two notes of how far it came; at most so many are sent again after a crash."""

_TRIED: Final = 100
"""Lines that are tried before anything is sent."""
_SHOWN_TEXT: Final = 2_000


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What to import, and how."""

    path: Path
    contract: Contract
    form: Format
    mapping: Mapping | None
    tenant: str | None
    again: bool = False
    """Send everything once more, even what was sent before; the ids stay the same."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file: ``lines`` is the sum of ``sent``, ``blank`` and all ``refused``.

    The counts are of the whole file, earlier runs included.
    """

    lines: int
    """Lines of the file, counted apart from all else; of a CSV file, rows below the header."""
    sent: int
    blank: int
    refused: dict[str, int]
    sent_now: int
    """Of ``sent``: in this run."""
    derived_ids: int
    """Of ``sent_now``: events that got their id from the file and the line."""
    resumed_after: int
    """The line that an earlier run had come to; 0 when there was none."""
    was_finished: bool
    """True when an earlier run had sent it all and this one had nothing to do."""
    finished: bool
    """False when the run was stopped."""
    rejects: Path | None
    """Where the refused lines are listed; None when there are none."""


def import_file(
    plan: ImportPlan,
    settings: IngestSettings,
    open_publisher: Callable[[], Publisher],
    on_progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> ImportReport:
    """Send a file's lines as events, from where an earlier run came to.

    Every line that counts as sent has been acknowledged by the broker.

    Args:
        plan: what to import.
        settings: whose home keeps the state.
        open_publisher: called once there is something to send.
        on_progress: told the last line dealt with.
        stop: asked between lines; True ends the run in good order.

    Raises:
        ImportFileError: the file, the mapping or the state is wrong; nothing was sent.
        DeliveryError: the broker did not take a message; a new run goes on from the last note.
    """
    states = StateFolder(settings.home / "imports")
    state = states.find(plan.contract.name, plan.tenant, plan.path, read_content(plan.path))
    if plan.again:
        state.begin_again()
    mapper = Mapper(
        plan.contract, plan.mapping, plan.tenant, state.identity, from_text=plan.form == "csv"
    )
    resumed_after, before, was_finished = state.done_line, state.sent, state.finished
    rejects_path = states.path(state, "-rejects.jsonl")
    if not state.finished:
        _try_first_lines(plan, mapper, state.done_line)
        states.save(state)
        with _open_rejects(rejects_path, state.rejects_bytes) as rejects:
            loop = _Loop(plan, state, mapper, rejects)
            with open_publisher() as publisher:
                for _ in loop.batches(publisher, stop):
                    states.save(state)
                    on_progress(state.done_line)
    refused = sum(state.refused.values())
    return ImportReport(
        lines=state.sent + state.blank + refused if plan.form == "csv" else state.lines,
        sent=state.sent,
        blank=state.blank,
        refused=dict(sorted(state.refused.items())),
        sent_now=state.sent - before,
        derived_ids=mapper.derived_ids,
        resumed_after=resumed_after,
        was_finished=was_finished,
        finished=state.finished,
        rejects=rejects_path if state.refused else None,
    )


@dataclass(frozen=True, slots=True)
class _Loop:
    plan: ImportPlan
    state: ImportState
    mapper: Mapper
    rejects: IO[bytes]

    def batches(self, publisher: Publisher, stop: Callable[[], bool]) -> Iterator[None]:
        """Send batch after batch; the state is true whenever this yields."""
        state = self.state
        # What is appended meanwhile is for the next run: the count of lines is already taken.
        lines = takewhile(
            lambda line: line.number <= state.lines,
            read_lines(self.plan.path, self.plan.form, state.done_line),
        )
        stopped = False
        while not stopped:
            last = state.done_line
            sent = blank = 0
            refused: dict[str, int] = {}
            for line in islice(lines, BATCH_LINES):
                last = line.number
                if line.record is None:
                    blank += 1
                elif (refusal := self._send(publisher, line)) is None:
                    sent += 1
                else:
                    refused[refusal.reason] = refused.get(refusal.reason, 0) + 1
                    self._list(line, refusal)
                if stop():
                    stopped = True
                    break
            else:
                state.finished = sent + blank + sum(refused.values()) < BATCH_LINES
                stopped = state.finished
            publisher.flush()
            self.rejects.flush()
            state.done_line = last
            state.sent += sent
            state.blank += blank
            for reason, count in refused.items():
                state.refused[reason] = state.refused.get(reason, 0) + count
            state.rejects_bytes = self.rejects.tell()
            yield

    def _send(self, publisher: Publisher, line: Line) -> Refusal | None:
        """Send a line's event; return why not if it cannot be."""
        assert line.record is not None
        if isinstance(line.record, Refusal):
            return line.record
        payload = self.mapper.payload(line.record, line.number)
        if isinstance(payload, Refusal):
            return payload
        contract = self.plan.contract
        as_it_is = self.plan.form == "jsonl" and payload == line.record
        value = line.text.encode() if as_it_is else orjson.dumps(payload)
        publisher.send(contract.name, message_key(contract, payload), value)
        return None

    def _list(self, line: Line, refusal: Refusal) -> None:
        entry = {
            "line": line.number,
            "reason": refusal.reason,
            "detail": refusal.detail,
            "text": line.text[:_SHOWN_TEXT],
        }
        self.rejects.write(json.dumps(entry).encode() + b"\n")


def _try_first_lines(plan: ImportPlan, mapper: Mapper, after: int) -> None:
    """Refuse a file of which nothing can be used before anything is sent."""
    refusals: dict[str, tuple[int, Line, Refusal]] = {}
    tried = 0
    for line in islice(read_lines(plan.path, plan.form, after), _TRIED):
        if line.record is None:
            continue
        tried += 1
        found = (
            line.record
            if isinstance(line.record, Refusal)
            else mapper.payload(line.record, line.number)
        )
        if not isinstance(found, Refusal):
            mapper.derived_ids = 0
            return
        count = refusals[found.reason][0] if found.reason in refusals else 0
        refusals[found.reason] = (count + 1, line, found)
    if after or not tried:
        return
    reason, (count, line, refusal) = max(refusals.items(), key=lambda item: item[1][0])
    raise ImportFileError(
        f"{plan.path}: none of the first {tried:,} lines can be used; {count:,} for the reason "
        f"{reason}, line {line.number}: {refusal.detail}",
        hint="is --format right, and does the mapping fit? Nothing was sent.",
    )


def _open_rejects(path: Path, keep_bytes: int) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("r+b" if path.exists() else "w+b")
    except OSError as error:
        raise ImportFileError(
            f"{path}: the list of refused lines cannot be written: {error.strerror}"
        ) from error
    file.seek(keep_bytes)
    file.truncate()
    return file
