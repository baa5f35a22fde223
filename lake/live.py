"""The live views: gold up to the last build, and what came since by the very SQL of the mart.

Time is cut at one moment for each event table, a literal of the views' text: silver says what was
committed to bronze up to it, bronze what was committed after it. Commit times grow with the
versions of a bronze table, so an event is on one side and on one side only, whatever a build
writes meanwhile. The windows that an event came for since are worked out whole, from both sides,
and replace those of gold: nothing is ever added to a number of gold. See ADR 053.

The moment is what the marts had processed when the views were made. An older one gives the same
answer for more work, so a reader that keeps its views while builds go on is right all the same.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import duckdb
from deltalake.exceptions import DeltaError

from lake.delta_log import read_commit_infos
from lake.duck import delta_scan, quote_name, quote_text
from lake.errors import LakeError, in_one_line
from lake.increments import NEVER, Pinned
from lake.live_texts import LiveText, read_texts
from lake.tables import Lake
from lake.writer.commit import METADATA_KEY

logger = logging.getLogger(__name__)

SCHEMA: Final = "live"
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every commit: nothing is taken from silver, all from bronze."""
COMMITS_BACK: Final = 50
"""How far back the log is searched for the newest commit of a writer."""


@dataclass(frozen=True, slots=True)
class LiveView:
    """One view of the schema ``live``."""

    name: str
    sql: str
    about: str

    def create(self) -> str:
        """Return the statement that makes it."""
        return f"create or replace view {SCHEMA}.{quote_name(self.name)} as {self.sql}"


def live_views(lake: Lake, connection: duckdb.DuckDBPyConnection) -> list[LiveView]:
    """Return the views of ``lake``, in the order in which they can be made; none without a build.

    ``connection`` can ``delta_scan`` the lake. When the views are made in it, it must have a view
    ``<layer>.<table>`` for each table.

    Raises:
        DeltaError, OSError: a table cannot be read.
    """
    texts = read_texts(lake)
    events = [text for text in texts if text.kind == "events" and lake.exists("silver", text.name)]
    marts = [text for text in texts if text.kind != "events" and lake.exists("gold", text.name)]
    views = []
    for text in events:
        bound = _bound(lake, connection, text.name, marts)
        logger.debug("live from", extra={"table": text.name, "bound": bound.isoformat()})
        views += _event_views(lake, text, bound)
    there = {view.name for view in views}
    for mart in marts:
        if set(_read_by(mart, texts)) <= there:
            views.append(_mart_view(mart))
    return views


def define_live_views(lake: Lake, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Make the schema ``live`` and its views; return what was left out, each with the reason.

    ``connection`` has a view ``<layer>.<table>`` for each table of ``lake``.
    """
    connection.execute(f"create schema if not exists {SCHEMA}")
    left_out = []
    try:
        views = live_views(lake, connection)
    except (DeltaError, LakeError, OSError, duckdb.Error) as error:
        return [f"{SCHEMA}: {in_one_line(error)}"]
    for view in views:
        try:
            connection.execute(view.create())
        except duckdb.Error as error:
            left_out.append(f"{SCHEMA}.{view.name}: {in_one_line(error)}")
        else:
            name = f"{SCHEMA}.{quote_name(view.name)}"
            connection.execute(f"comment on view {name} is {quote_text(view.about)}")
    return left_out


def _read_by(mart: LiveText, texts: Sequence[LiveText]) -> list[str]:
    """Return the live event views that a mart's text names."""
    names = [text.name.replace("stg_", "new_", 1) for text in texts if text.kind == "events"]
    return [name for name in names if re.search(rf"\b{SCHEMA}\.{name}\b", mart.sql)]


def _event_views(lake: Lake, text: LiveText, bound: datetime) -> list[LiveView]:
    """Return what came since the bound, as bronze has it and as silver would, and all events."""
    contract = text.name.removeprefix("stg_")
    moment = f"timestamptz '{bound.isoformat()}'"
    silver = f"silver.{quote_name(text.name)}"
    same = " and ".join(f"old.{quote_name(k)} = fresh.{quote_name(k)}" for k in text.key)
    before = f"{silver} as old where old._committed_at <= {moment}"
    if not lake.exists("bronze", contract):
        new = f"from {silver} where false"
        tail = []
    else:
        new = (
            f"select fresh.* from ({text.sql}) as fresh where not exists (select 1 from {before} "
            f"and old.event_date = fresh.event_date and {same})"
        )
        tail = [
            LiveView(
                f"tail_{contract}",
                f"select * from bronze.{quote_name(contract)} "
                f"where _ingest_date >= date '{bound.date()}' and _committed_at > {moment}",
                f"Rows of bronze.{contract} that came after what gold was built from.",
            )
        ]
    return [
        *tail,
        LiveView(
            f"new_{contract}",
            new,
            f"Events of live.tail_{contract}, as {text.name} will have them.",
        ),
        LiveView(
            f"built_{contract}",
            f"select old.* from {before}",
            f"Events of {text.name} that gold was built from.",
        ),
        LiveView(
            text.name,
            f"from {SCHEMA}.built_{contract} union all by name from {SCHEMA}.new_{contract}",
            f"All events of {text.name} up to now.",
        ),
    ]


def _mart_view(mart: LiveText) -> LiveView:
    gold = f"gold.{quote_name(mart.name)}"
    if mart.kind == "state":
        return LiveView(
            mart.name.removeprefix("current_"), mart.sql, f"{gold} as of now, up to the last event."
        )
    same = " and ".join(f"fresh.{quote_name(k)} = built.{quote_name(k)}" for k in mart.key)
    return LiveView(
        mart.name.removeprefix("fct_"),
        f"with fresh as materialized ({mart.sql}) select built.* from {gold} as built "
        f"where not exists (select 1 from fresh where {same}) union all by name from fresh",
        f"{gold} up to now: windows with newer events are worked out anew.",
    )


def _bound(
    lake: Lake, connection: duckdb.DuckDBPyConnection, silver: str, marts: Sequence[LiveText]
) -> datetime:
    """Return up to which commit time of bronze all ``marts`` that read ``silver`` were built.

    They were built from one version of the silver table, and that from one version of bronze: both
    are in the transactions of their logs.
    """
    contract = silver.removeprefix("stg_")
    if not lake.exists("bronze", contract):
        return BEGINNING
    head = Pinned(lake, "silver", silver, lake.open("silver", silver))
    read = []
    for mart in marts:
        if re.search(rf"\b{SCHEMA}\.new_{contract}\b", mart.sql):
            read.append(head.last_read_by(lake.open("gold", mart.name)))
    versions = [NEVER if version is None else version for version in read]
    if not versions or min(versions) == NEVER:
        return BEGINNING
    bronze = Pinned(lake, "bronze", contract, lake.open("bronze", contract))
    try:
        version = bronze.last_read_by(lake.open("silver", silver, version=min(versions)))
    except DeltaError as error:  # that version's log was cleaned up: no build for weeks
        logger.warning("live views begin anew", extra={"table": silver, "error": str(error)})
        return BEGINNING
    if version is None or version == NEVER:
        return BEGINNING
    found = _committed_by(lake, bronze, version)
    if found is not None:
        return found
    # Not written by lakeward's writer, or so long ago that the log is gone: the rows tell as well.
    scan = delta_scan(lake.uri("silver", silver), min(versions))
    row = connection.execute(f"select max(_committed_at) from {scan}").fetchone()
    return BEGINNING if row is None or row[0] is None else row[0].astimezone(UTC)


def _committed_by(lake: Lake, bronze: Pinned, version: int) -> datetime | None:
    """Return the commit time of the newest rows of ``version``, None when its log does not say."""
    assert bronze.table is not None
    infos = read_commit_infos(
        bronze.table, version - COMMITS_BACK, lake.storage_options, until=version
    )
    for _, info in reversed(infos):
        record = json.loads(info.get(METADATA_KEY) or "{}")
        if record.get("committed_at"):
            return datetime.fromisoformat(record["committed_at"]).astimezone(UTC)
    return None
