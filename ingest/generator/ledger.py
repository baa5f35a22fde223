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
_COUNT_EVERY: Final = 20_000

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
        self._totals = Totals.of(contracts)
        self.ledger = Ledger(
            run_id=run_id,
            arguments=arguments,
            contracts={c.name: ContractLedger(topic=c.topic) for c in contracts},
            totals={},
            path=folder / f"ledger-{run_id}.json",
        )
        self._writer: pq.ParquetWriter | None = None
        self._noted: list[Message] = []
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
        self._noted.append(message)
        if len(self._noted) >= _COUNT_EVERY:
            self._count()

    def _count(self) -> None:
        """Count what was noted, many messages at once: that is several times cheaper."""
        by_contract: dict[str, list[Message]] = {name: [] for name in self.ledger.contracts}
        for message in self._noted:
            by_contract[message.contract].append(message)
        for contract, messages in by_contract.items():
            entry = self.ledger.contracts[contract]
            entry.messages += len(messages)
            good: list[dict[str, Any]] = []
            ahead: list[dict[str, Any]] = []
            for message in messages:
                fault = message.fault
                if fault is None:
                    good.append(message.payload)
                elif message.reason is not None:
                    reason = message.reason
                    entry.dead_letters[reason] = entry.dead_letters.get(reason, 0) + 1
                elif fault == "duplicate":
                    entry.duplicates += 1
                else:
                    entry.rescued += fault in RESCUED
                    entry.late += fault == "late"
                    entry.future += fault == "future"
                    (ahead if fault == "future" else good).append(message.payload)
            entry.events += len(good) + len(ahead)
            self._totals.add(contract, good, is_future=False)
            self._totals.add(contract, ahead, is_future=True)
        self._write_rows()
        self._noted.clear()

    def close(self, acknowledged: int, *, complete: bool) -> Ledger:
        """Write the ledger and return it."""
        self._count()
        ledger = self.ledger
        ledger.acknowledged = acknowledged
        ledger.complete = complete
        ledger.totals = self._totals.document()
        if self._writer is not None:
            self._writer.close()
        assert ledger.path is not None
        ledger.path.write_bytes(orjson.dumps(ledger.document(), option=orjson.OPT_INDENT_2))
        return ledger

    def _write_rows(self) -> None:
        if self._writer is None or not self._noted:
            return
        columns: dict[str, list[Any]] = {
            "contract": [m.contract for m in self._noted],
            "topic": [self.ledger.contracts[m.contract].topic for m in self._noted],
            "event_id": [m.event_id for m in self._noted],
            "fault": [m.fault for m in self._noted],
            "outcome": [_outcome(m) for m in self._noted],
            "reason": [m.reason for m in self._noted],
            "sent_at": [m.timestamp_ms for m in self._noted],
        }
        self._writer.write_table(pa.table(columns, schema=EVENTS_SCHEMA))


def _outcome(message: Message) -> str:
    if message.reason is not None:
        return "dead_letter"
    return "duplicate" if message.fault == "duplicate" else "row"
