"""What a run of the generator sent, so that every later number can be held against it.

The ledger is written down while sending and from the plan of each message, not by reading the
messages back: it says what the writer and the models must find, whatever they do find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.contracts.model import Contract
from ingest.errors import GeneratorError
from ingest.generator.message import RESCUED, Message
from ingest.generator.totals import Totals

FORMAT: Final = 1

EVENTS_SCHEMA: Final = pa.schema(
    [
        ("contract", pa.string()),
        ("topic", pa.string()),
        ("event_id", pa.string()),
        ("fault", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("sent_at", pa.timestamp("ms", tz="UTC")),
    ]
)
"""One row a message: ``outcome`` is row, duplicate or dead_letter; ``sent_at`` is Kafka's time."""


@dataclass(slots=True)
class ContractLedger:
    """What was sent of one contract.

    ``messages`` is the sum of ``events``, ``duplicates`` and all ``dead_letters``.
    """

    topic: str
    messages: int = 0
    events: int = 0
    """Different events that must become rows: what silver holds."""
    duplicates: int = 0
    """Messages that say an event again: rows in bronze, nothing in silver."""
    dead_letters: dict[str, int] = field(default_factory=dict)
    """By reason."""
    rescued: int = 0
    """Of ``events``: those with something in ``_rescued``."""
    late: int = 0
    """Of ``events``: those that reach Kafka over 24 hours after they occurred."""
    future: int = 0
    """Of ``events``: those dated over 1 hour after they reach Kafka."""

    @property
    def dead(self) -> int:
        """All messages that must become dead letters."""
        return sum(self.dead_letters.values())

    @property
    def rows(self) -> int:
        """Rows that bronze must hold."""
        return self.events + self.duplicates


@dataclass(slots=True)
class Ledger:
    """What one run sent: by contract, and the totals that follow."""

    run_id: str
    arguments: dict[str, Any]
    """What the run was asked for; the same arguments make the same messages."""
    contracts: dict[str, ContractLedger]
    totals: dict[str, Any]
    """See ``docs/guides/generate.md``; money is text."""
    complete: bool = False
    """False when the run was interrupted: then it still holds what was sent until then."""
    acknowledged: int = 0
    """Messages that the broker has confirmed; all of them in a complete run."""
    events_file: str | None = None
    """Parquet file with one row a message, beside the ledger."""
    path: Path | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a ledger.

        Raises:
            GeneratorError: there is no such file, or it is no ledger of this version.
        """
        try:
            document = orjson.loads(path.read_bytes())
        except OSError as error:
            raise GeneratorError(f"{path}: the ledger cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise GeneratorError(f"{path}: this is no ledger: {error}") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise GeneratorError(f"{path}: expected a ledger of format {FORMAT}")
        return cls(
            run_id=document["run_id"],
            arguments=document["arguments"],
            contracts={
                name: ContractLedger(**entry) for name, entry in document["contracts"].items()
            },
            totals=document["totals"],
            complete=document["complete"],
            acknowledged=document["acknowledged"],
            events_file=document["events_file"],
            path=path,
        )

    @property
    def messages(self) -> int:
        """Messages sent, of all contracts."""
        return sum(entry.messages for entry in self.contracts.values())

    def document(self) -> dict[str, Any]:
        """Return the ledger as JSON."""
        names = ContractLedger.__dataclass_fields__
        return {
            "format": FORMAT,
            "run_id": self.run_id,
            "complete": self.complete,
            "messages": self.messages,
            "acknowledged": self.acknowledged,
            "arguments": self.arguments,
            "contracts": {
                contract: {name: getattr(entry, name) for name in names}
                for contract, entry in self.contracts.items()
            },
            "events_file": self.events_file,
            "totals": self.totals,
        }

    def events(self) -> pa.Table:
        """Return one row a message, with the columns of ``EVENTS_SCHEMA``.

        Raises:
            GeneratorError: the run was not asked to keep them (``--ledger-events``).
        """
        if self.path is None or self.events_file is None:
            raise GeneratorError(
                f"the ledger of run {self.run_id} has no list of its messages",
                hint="generate with --ledger-events to get one",
            )
        return pq.read_table(self.path.parent / self.events_file)


class Recorder:
    """Keeps the ledger of a run while its messages are sent."""

    def __init__(
        self,
        run_id: str,
        folder: Path,
        contracts: Sequence[Contract],
        arguments: dict[str, Any],
        *,
        keep_events: bool,
    ) -> None:
        self._folder = folder
        self._totals = Totals.of(contracts)
        self.ledger = Ledger(
            run_id=run_id,
            arguments=arguments,
            contracts={c.name: ContractLedger(topic=c.topic) for c in contracts},
            totals={},
            path=folder / f"ledger-{run_id}.json",
        )
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[tuple[Any, ...]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if keep_events:
                self.ledger.events_file = f"messages-{run_id}.parquet"
                self._writer = pq.ParquetWriter(folder / self.ledger.events_file, EVENTS_SCHEMA)
        except OSError as error:
            raise GeneratorError(
                f"{folder}: the ledger cannot be written: {error.strerror}",
                hint="LAKEWARD_HOME must name a folder that you may write to",
            ) from error

    def record(self, message: Message) -> None:
        """Note one message that was handed to Kafka."""
        entry = self.ledger.contracts[message.contract]
        entry.messages += 1
        fault = message.fault
        if message.reason is not None:
            outcome = "dead_letter"
            entry.dead_letters[message.reason] = entry.dead_letters.get(message.reason, 0) + 1
        elif fault == "duplicate":
            outcome = "duplicate"
            entry.duplicates += 1
        else:
            outcome = "row"
            entry.events += 1
            if fault is not None:
                entry.rescued += fault in RESCUED
                entry.late += fault == "late"
                entry.future += fault == "future"
            self._totals.add(message)
        if self._writer is not None:
            self._rows.append(
                (
                    message.contract, entry.topic, message.event_id, fault, outcome,
                    message.reason, message.timestamp_ms,
                )
            )  # fmt: skip
            if len(self._rows) >= 50_000:
                self._write_rows()

    def close(self, acknowledged: int, *, complete: bool) -> Ledger:
        """Write the ledger and return it."""
        ledger = self.ledger
        ledger.acknowledged = acknowledged
        ledger.complete = complete
        ledger.totals = self._totals.document()
        if self._writer is not None:
            self._write_rows()
            self._writer.close()
        assert ledger.path is not None
        ledger.path.write_bytes(orjson.dumps(ledger.document(), option=orjson.OPT_INDENT_2))
        return ledger

    def _write_rows(self) -> None:
        if self._writer is not None and self._rows:
            columns = [
                pa.array(column, type=kind)
                for column, kind in zip(
                    zip(*self._rows, strict=True), EVENTS_SCHEMA.types, strict=True
                )
            ]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=EVENTS_SCHEMA))
            self._rows.clear()
