"""The live views: gold up to the last build, and what came since by the very SQL of the mart.

Time is cut at one moment for each event table, a literal of the views' text: silver says what was
committed to bronze up to it, bronze what was committed after it. Commit times grow with the
versions of a bronze table, so an event is on one side and on one side only, whatever a build
writes meanwhile. The windows that a row came for since are worked out whole, from both sides,
and replace those of gold: nothing is ever added to a number of gold. See ADR 053 and 054.

The moment is what the marts had processed when the views were made. An older one gives the same
answer for more work, so a reader that keeps its views while builds go on is right all the same.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import duckdb
from deltalake.exceptions import DeltaError

from lake.delta_log import read_commit_infos
from lake.duck import delta_scan, quote_name, quote_text
from lake.errors import LakeError, in_one_line
from lake.increments import NEVER, Pinned
from lake.live_texts import Kind, LiveText, read_texts
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


@dataclass(frozen=True, slots=True)
class Bound:
    """How far into a bronze table gold was built."""

    moment: datetime
    """Commit time, UTC: what came up to it is taken from silver, what came after from bronze."""
    version: int | None
    """Of the bronze table, where it is known."""


@dataclass(frozen=True, slots=True)
class LiveCut:
    """What live views are made of: the texts of the last build, and where time is cut."""

    texts: tuple[LiveText, ...]
    bounds: Mapping[str, Bound]
    """By name of the silver table."""

    def of(self, kind: Kind) -> dict[str, LiveText]:
        """Return the texts of one kind by name."""
        return {text.name: text for text in self.texts if text.kind == kind}

    def marts(self) -> list[LiveText]:
        """Return the texts of the marts whose tables of events can all be cut."""
        there = {name.removeprefix("stg_") for name in self.bounds}
        return [
            mart for mart in self.of("mart").values() if there.issuperset(read_by(mart, self.texts))
        ]


def read_cut(lake: Lake, connection: duckdb.DuckDBPyConnection) -> LiveCut:
    """Return where time is cut in ``lake`` now; without a build there are no texts.

    ``connection`` can ``delta_scan`` the lake.

    Raises:
        DeltaError, OSError: a table cannot be read.
    """
    texts = [
        text
        for text in read_texts(lake)
        if text.kind not in ("mart", "windows") or lake.exists("gold", text.name)
    ]
    marts = [text for text in texts if text.kind == "mart"]
    minutes = {text.name for text in texts if text.kind == "minutes"}
    bounds = {}
    for text in texts:
        if text.kind == "events" and text.name in minutes and lake.exists("silver", text.name):
            bounds[text.name] = _bound(lake, connection, text.name, marts)
            bound = bounds[text.name].moment.isoformat()
            logger.debug("live from", extra={"table": text.name, "bound": bound})
    return LiveCut(tuple(texts), bounds)


def live_views(lake: Lake, cut: LiveCut) -> list[LiveView]:
    """Return the views of ``lake``, in the order in which they can be made; none without a build.

    Where they are made there must be a view ``<layer>.<table>`` for each table.
    """
    views = []
    events, minutes = cut.of("events"), cut.of("minutes")
    for name, bound in cut.bounds.items():
        views += _event_views(lake, events[name], minutes[name], bound.moment)
    return [*views, *(mart_view(cut, mart) for mart in cut.marts())]


def define_live_views(
    lake: Lake, connection: duckdb.DuckDBPyConnection
) -> tuple[LiveCut | None, list[str]]:
    """Make the schema ``live`` and its views.

    ``connection`` has a view ``<layer>.<table>`` for each table of ``lake``.

    Returns:
        Where time was cut, None when that cannot be read; and what was left out, with the reason.
    """
    connection.execute(f"create schema if not exists {SCHEMA}")
    left_out = []
    try:
        cut = read_cut(lake, connection)
        views = live_views(lake, cut)
    except (DeltaError, LakeError, OSError, duckdb.Error) as error:
        return None, [f"{SCHEMA}: {in_one_line(error)}"]
    for view in views:
        try:
            connection.execute(view.create())
        except duckdb.Error as error:
            left_out.append(f"{SCHEMA}.{view.name}: {in_one_line(error)}")
        else:
            name = f"{SCHEMA}.{quote_name(view.name)}"
            connection.execute(f"comment on view {name} is {quote_text(view.about)}")
    return cut, left_out


def read_by(mart: LiveText, texts: Sequence[LiveText]) -> list[str]:
    """Return the contracts whose live events a mart's text reads."""
    contracts = [text.name.removeprefix("stg_") for text in texts if text.kind == "events"]
    return [contract for contract in contracts if _reads(mart, contract)]


def _reads(mart: LiveText, contract: str) -> bool:
    return re.search(rf"\b{SCHEMA}\.(fresh|new)_{contract}\b", mart.sql) is not None


def mart_view(cut: LiveCut, mart: LiveText, held: str | None = None) -> LiveView:
    """Return the view of a mart.

    ``held``: the schema of a session that holds the tail; it stands for the views that this saves.
    """
    name = mart.name.removeprefix("fct_").removeprefix("current_")
    about = f"gold.{quote_name(mart.name)} up to now."
    windows = cut.of("windows").get(mart.name)
    if windows is None:
        return LiveView(name, _read_from(held, mart.sql), about)
    steps = [f"touched as materialized ({_read_from(held, windows.sql)})"]
    sql = _read_from(held, mart.sql)
    if held is None:
        # The new events are worked out once, though several steps read them.
        sql = re.sub(rf"\b{SCHEMA}\.(new_\w+)", r"\1", sql)
        events = cut.of("events")
        steps += [_new_step(events[f"stg_{contract}"]) for contract in read_by(mart, cut.texts)]
    return LiveView(name, f"with {', '.join(steps)} {sql}", about)


def _read_from(held: str | None, sql: str) -> str:
    if held is None:
        return sql
    return re.sub(rf"\b{SCHEMA}\.((?:new|minutes|needed)_\w+)", rf"{held}.\1", sql)


def _new_step(text: LiveText) -> str:
    """Return the step of a mart's view that works out the new events of a table.

    Those that silver had already are found by a left join, since what a query asks for a tenant
    then reaches silver too, which it does not by an anti join.
    """
    contract = text.name.removeprefix("stg_")
    key = ", ".join(map(quote_name, (*text.key, "event_date")))
    return (
        f"new_{contract} as materialized (select fresh.* from {SCHEMA}.fresh_{contract} as fresh "
        f"left join (select {key}, true as is_built from {SCHEMA}.built_{contract} "
        "where event_date in (select event_date from touched) "
        f"and tenant_id in (select tenant_id from touched)) using ({key}) where is_built is null)"
    )


def _event_views(lake: Lake, text: LiveText, minutes: LiveText, bound: datetime) -> list[LiveView]:
    """Return what came since the bound, as bronze has it and as silver would, and all events."""
    contract = text.name.removeprefix("stg_")
    moment = f"timestamptz '{bound.isoformat()}'"
    silver = f"silver.{quote_name(text.name)}"
    if lake.exists("bronze", contract):
        tail = (
            f"select * from bronze.{quote_name(contract)} "
            f"where _ingest_date >= date '{bound.date()}' and _committed_at > {moment}"
        )
        fresh = text.sql
    else:
        tail = fresh = f"select * from {silver} where false"
    key = ", ".join(map(quote_name, (*text.key, "event_date")))
    days = f"from {SCHEMA}.minutes_{contract}"
    return [
        LiveView(
            f"tail_{contract}",
            tail,
            f"Rows of bronze.{contract} that came after what gold was built from.",
        ),
        LiveView(
            f"minutes_{contract}",
            minutes.sql,
            f"Minutes that rows of live.tail_{contract} fall in.",
        ),
        LiveView(
            f"fresh_{contract}",
            fresh,
            f"Events of live.tail_{contract}, also those that {text.name} had before.",
        ),
        LiveView(
            f"built_{contract}",
            f"select * from {silver} where _committed_at <= {moment}",
            f"Events of {text.name} that gold was built from.",
        ),
        LiveView(
            f"needed_{contract}",
            f"from {SCHEMA}.built_{contract}",
            f"Events of live.built_{contract} that a mart by the minute may need.",
        ),
        LiveView(
            f"new_{contract}",
            f"select fresh.* from {SCHEMA}.fresh_{contract} as fresh anti join "
            f"(select {key} from {SCHEMA}.built_{contract} where "
            f"event_date in (select event_date {days}) and tenant_id in (select tenant_id {days})"
            f") using ({key})",
            f"Events of live.tail_{contract}, as {text.name} will have them.",
        ),
        LiveView(
            text.name,
            f"from {SCHEMA}.built_{contract} union all by name from {SCHEMA}.new_{contract}",
            f"All events of {text.name} up to now.",
        ),
    ]


def _bound(
    lake: Lake, connection: duckdb.DuckDBPyConnection, silver: str, marts: Sequence[LiveText]
) -> Bound:
    """Return how far into bronze all ``marts`` that read ``silver`` were built.

    They were built from one version of the silver table, and that from one version of bronze: both
    are in the transactions of their logs.
    """
    contract = silver.removeprefix("stg_")
    if not lake.exists("bronze", contract):
        return Bound(BEGINNING, None)
    head = Pinned(lake, "silver", silver, lake.open("silver", silver))
    read = []
    for mart in marts:
        if _reads(mart, contract):
            read.append(head.last_read_by(lake.open("gold", mart.name)))
    versions = [NEVER if version is None else version for version in read]
    if not versions or min(versions) == NEVER:
        return Bound(BEGINNING, None)
    bronze = Pinned(lake, "bronze", contract, lake.open("bronze", contract))
    try:
        version = bronze.last_read_by(lake.open("silver", silver, version=min(versions)))
    except DeltaError as error:  # that version's log was cleaned up: no build for weeks
        logger.warning("live views begin anew", extra={"table": silver, "error": str(error)})
        return Bound(BEGINNING, None)
    if version is None or version == NEVER:
        return Bound(BEGINNING, None)
    found = _committed_by(lake, bronze, version)
    if found is not None:
        return Bound(found, version)
    # Not written by lakeward's writer, or so long ago that the log is gone: the rows tell as well.
    scan = delta_scan(lake.uri("silver", silver), min(versions))
    row = connection.execute(f"select max(_committed_at) from {scan}").fetchone()
    found = BEGINNING if row is None or row[0] is None else row[0].astimezone(UTC)
    return Bound(found, version)


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
