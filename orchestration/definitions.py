"""Everything Dagster knows about lakeward: ``dagster ... -m orchestration.definitions``.

Nothing is read at import: Dagster calls ``defs`` when it wants the definitions. No table needs to
exist for them to load.
"""

from __future__ import annotations

from dagster import Definitions, definitions

from orchestration.wiring import wire


@definitions
def defs() -> Definitions:
    """Return the definitions for the settings of this process."""
    return wire()
