"""Owners, as Dagster wants them written."""

from __future__ import annotations

import re

NOT_IN_A_TEAM = re.compile(r"[^a-z0-9_]+")


def dagster_owners(owner: str) -> list[str]:
    """Return ``owner`` as Dagster's owners: an e-mail address, else ``team:<name>``."""
    name = owner.strip().removeprefix("team:").strip()
    if not name:
        return []
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", name):
        return [name]
    return [f"team:{NOT_IN_A_TEAM.sub('_', name.lower()).strip('_')}"]
