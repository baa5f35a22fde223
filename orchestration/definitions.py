"""Everything Dagster knows about lakeward: ``dagster ... -m orchestration.definitions``.

Nothing is read at import: Dagster calls ``defs`` when it wants the definitions, and the command
line imports this package without paying for Dagster. No table needs to exist for it to load.
"""

from __future__ import annotations

from dagster import Definitions, definitions, in_process_executor

from orchestration.wiring import wire


@definitions
def defs() -> Definitions:
    """Return the definitions for the settings of this process."""
    return Definitions.merge(wire(), Definitions(executor=in_process_executor))
