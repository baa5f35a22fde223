"""What was imported so far: how a run that was cut short goes on, and a second one does nothing."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ingest.errors import ImportFileError
from ingest.importer.records import Content, read_content


@dataclass(slots=True)
class ImportState:
    """How far one file has come into one contract's topic."""

    contract: str
    tenant: str | None
    path: str
    identity: str
    """SHA-256 of what the file held at its first import; derived ids follow from it."""
    sha256: str
    size: int
    lines: int
    done_line: int = 0
    """The last line that is dealt with, all before it too: acknowledged, refused or blank."""
    sent: int = 0
    blank: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    rejects_bytes: int = 0
    """Length of the list of refused lines; what comes after was not yet dealt with."""
    finished: bool = False
    """True when there is no line left."""

    def begin_again(self) -> None:
        """Forget how far it came; the identity stays, so the events keep their ids."""
        self.done_line = self.sent = self.blank = self.rejects_bytes = 0
        self.refused = {}
        self.finished = False


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The states of all imports of one home: ``<home>/imports/``."""

    folder: Path

    def find(self, contract: str, tenant: str | None, path: Path, content: Content) -> ImportState:
        """Return the state for a file: the one it left, or a new one.

        A file is recognised by its content wherever it lies. A file at the same place that
        begins with all it held before has grown: its lines keep their ids and only the new ones
        are left to do.
        """
        where = str(path.resolve())
        for state in self._all():
            if (state.contract, state.tenant) != (contract, tenant):
                continue
            if state.sha256 == content.sha256:
                return state
            if state.path == where and state.size < content.size:
                before = read_content(path, first=state.size)
                if before.sha256 == state.sha256 and before.ends_with_newline:
                    state.sha256 = content.sha256
                    state.size = content.size
                    state.lines = content.lines
                    state.finished = False
                    return state
        return ImportState(
            contract, tenant, where, content.sha256, content.sha256, content.size, content.lines
        )

    def save(self, state: ImportState) -> None:
        """Write a state so that it is never half there.

        Raises:
            ImportFileError: the folder cannot be written.
        """
        path = self.path(state, ".json")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".tmp")
            draft.write_text(json.dumps(asdict(state), indent=1) + "\n", "utf-8")
            os.replace(draft, path)
        except OSError as error:
            raise ImportFileError(
                f"{self.folder}: the state of the import cannot be written: {error.strerror}",
                hint="LAKEWARD_HOME must name a folder that you may write to",
            ) from error

    def path(self, state: ImportState, suffix: str) -> Path:
        """Return where a state, or what goes with it, is kept."""
        tenant = "" if state.tenant is None else f"-{state.tenant}"
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in state.contract + tenant)
        return self.folder / f"{safe}-{state.identity[:16]}{suffix}"

    def _all(self) -> list[ImportState]:
        states = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                states.append(ImportState(**json.loads(path.read_text("utf-8"))))
            except (OSError, ValueError, TypeError) as error:
                raise ImportFileError(
                    f"{path}: the state of an earlier import cannot be read: {error}",
                    hint="remove the file; that import then begins again, with the same ids",
                ) from error
        return states
