"""Which table of gold goes to which topic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lake.dbt_run import PROJECT
from serving.errors import PublishError
from serving.mart import Mart, load_mart

NOTHING: Final = "none"
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True)
class Target:
    """A table and its topic."""

    mart: Mart
    topic: str


def parse_targets(text: str, project: Path = PROJECT) -> list[Target]:
    """Return what ``table=topic[,table=topic]`` names; nothing for ``none``.

    Raises:
        PublishError: something is not of this form, or a topic is named twice.
        MartError: there is no such table, or it declares no key.
    """
    targets: list[Target] = []
    for pair in (part.strip() for part in text.split(",")):
        if pair in ("", NOTHING):
            continue
        table, equals, topic = (part.strip() for part in pair.partition("="))
        if not equals or not _TOPIC.fullmatch(topic):
            raise PublishError(
                f"{pair!r} does not name a table and a topic",
                hint="LAKEWARD_PUBLISH is table=topic, with commas between several; a topic has "
                "letters, digits, '.', '_' and '-'",
            )
        if topic in (one.topic for one in targets):
            raise PublishError(
                f"the topic {topic!r} is named for two tables",
                hint="give each table a topic of its own",
            )
        targets.append(Target(load_mart(table, project), topic))
    return targets
