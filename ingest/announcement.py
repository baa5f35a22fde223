"""How a running embedded broker is found: a small file in lakeward's home."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

CONNECT_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where an embedded broker listens and which process it is."""

    bootstrap_servers: str
    pid: int

    @staticmethod
    def path(home: Path) -> Path:
        """Return the file in which the broker of ``home`` announces itself."""
        return home / "broker" / "broker.json"

    @classmethod
    def read(cls, home: Path) -> Announcement | None:
        """Return the broker that runs for ``home``, or None.

        A broker that was killed leaves its file behind, and its process id may be in use again
        by another program; so a file counts only while its process lives and its port answers.
        """
        try:
            document = json.loads(cls.path(home).read_bytes())
            found = cls(str(document["bootstrap_servers"]), int(document["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found._process_lives() and found._port_answers() else None

    def write(self, home: Path) -> None:
        """Announce this broker; a reader sees the old file or the new one, never half of it."""
        path = self.path(home)
        draft = path.with_suffix(".json.new")
        draft.write_text(json.dumps({"bootstrap_servers": self.bootstrap_servers, "pid": self.pid}))
        draft.replace(path)

    def remove(self, home: Path) -> None:
        """Take the announcement back."""
        self.path(home).unlink(missing_ok=True)

    def _process_lives(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except PermissionError:
            return True
        except (OSError, OverflowError):
            return False
        return True

    def _port_answers(self) -> bool:
        host, _, port = self.bootstrap_servers.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S):
                return True
        except (OSError, ValueError):
            return False
