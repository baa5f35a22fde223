"""Proof that a stopped in-memory broker took nothing with it.

The embedded broker forgets its topics when it stops. At the next start they are made again, with
new ids, and the writer rightly refuses to go on: for all it knows messages were lost. When
``lakeward up`` stops it drains the topics first and writes down their ids here; at the next start
that record, and only that, lets the writer begin the new topics without asking the user.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from lake.journal import Journal, incarnations
from lake.settings import LakeSettings
from lake.tables import Lake

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CleanStop:
    """The topics of a stopped embedded broker, each drained to its end."""

    topic_ids: frozenset[str]

    @staticmethod
    def path(home: Path) -> Path:
        """Return the file of the record."""
        return home / "broker" / "clean_stop.json"

    @classmethod
    def take(cls, home: Path) -> CleanStop | None:
        """Return the record and remove it: it tells about one stop, and serves one start."""
        path = cls.path(home)
        try:
            document = json.loads(path.read_text())
            record = cls(frozenset(str(name) for name in document["drained_topic_ids"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            logger.warning("clean_stop_unreadable", extra={"path": str(path)})
            record = None
        path.unlink(missing_ok=True)
        return record

    def write(self, home: Path) -> None:
        """Keep the record for the next start."""
        path = self.path(home)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".json.new")
        draft.write_text(json.dumps({"drained_topic_ids": sorted(self.topic_ids)}))
        draft.replace(path)

    def covers(self, settings: LakeSettings) -> bool:
        """True when every topic that the lake knows last is one of those that were drained.

        False, for example, when another broker served this home in between.
        """
        entries = Journal(Lake(settings.root), settings.writer_name).entries()
        known = {source.broker_topic_id for source in incarnations(entries).values()}
        return known <= self.topic_ids
