"""The SQL texts of the live views: put together by dbt, kept in the lake as ``ops.live_views``.

They are kept with the tables they read and not with the dbt project, so that whoever can read the
lake can make the views, without dbt.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from lake.errors import ConcurrentBuildError
from lake.tables import Lake

logger = logging.getLogger(__name__)

TABLE: Final = "live_views"
TRIES: Final = 5

Kind = Literal["events", "minutes", "firsts", "mart", "windows", "rows"]
"""``events``: a silver table of events, from bronze. ``minutes``: the minutes of these events, from
bronze, for the same table. ``firsts``: the first event of each visit, from what was built of the
same table. ``mart``: a mart up to now; ``windows``: those of it that something came for; ``rows``:
those of some windows, over the tables of a session that holds the tail. Others are of an earlier
lakeward: nobody reads them, and the next build drops them."""


@dataclass(frozen=True, slots=True, order=True)
class LiveText:
    """What a live view selects: the SQL of its model over the tables of ``lake/live.py``."""

    kind: Kind
    name: str
    """Of the model, such as ``fct_metrics_1m``."""
    key: tuple[str, ...]
    """Columns that name an event; none for a mart."""
    sql: str


def read_texts(lake: Lake) -> list[LiveText]:
    """Return the texts of the last build; none when there was no build yet."""
    if not lake.exists("ops", TABLE):
        return []
    rows = lake.open("ops", TABLE).to_pyarrow_table().to_pylist()
    return sorted(LiveText(row["kind"], row["name"], tuple(row["key"]), row["sql"]) for row in rows)


def keep_texts(lake: Lake, texts: Sequence[LiveText]) -> None:
    """Make ``texts`` what the lake holds; nothing is written when it holds them already.

    Raises:
        ConcurrentBuildError: other builds kept writing theirs.
    """
    wanted = sorted(texts)
    rows = pa.Table.from_pylist([asdict(text) for text in wanted], schema=_SCHEMA)
    uri, options = lake.uri("ops", TABLE), lake.storage_options
    for _ in range(TRIES):
        if read_texts(lake) == wanted:
            return
        table = DeltaTable.create(
            uri,
            schema=_SCHEMA,
            mode="ignore",
            name=f"ops.{TABLE}",
            description="The SQL of the live views, as the last build put it together.",
            storage_options=options,
        )
        try:
            write_deltalake(table, rows, mode="overwrite", predicate="true")
        except CommitFailedError:
            logger.info("another build keeps its live views at the same time")
    raise ConcurrentBuildError(
        f"{uri} was written by other builds {TRIES} times while this one tried",
        hint="run the build again",
    )


_SCHEMA: Final = pa.schema(
    [
        ("kind", pa.string()),
        ("name", pa.string()),
        ("key", pa.list_(pa.string())),
        ("sql", pa.string()),
    ]
)
