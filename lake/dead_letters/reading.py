"""Read dead letters together with what became of them: one snapshot of both, in DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Literal, Self, get_args

import pyarrow as pa

from lake.dead_letters.history import read
from lake.dead_letters.letter import Letter, parse_address
from lake.dead_letters.selection import Selection
from lake.duck import connect, delta_scan
from lake.errors import UnknownLetterError
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.source import Source

LETTERS_AT_ONCE: Final = 2_048
"""Read together; each may have a megabyte or more."""

Grouping = Literal["reason", "contract", "tenant_id", "standing", "day"]
GROUPINGS: Final[tuple[Grouping, ...]] = get_args(Grouping)
"""What letters can be counted by; ``day`` is the UTC date on which they came into Kafka."""

_VIEW: Final = """
create view letters as
with became as (
    select
        topic, topic_id, "partition", "offset",
        bool_or(outcome = 'replayed') as is_replayed,
        bool_or(outcome = 'purged') as is_purged,
        count(*) filter (outcome in ('replayed', 'failed')) as tries,
        arg_max(reason, happened_at) filter (outcome = 'failed') as last_reason,
        arg_max(detail, happened_at) filter (outcome = 'failed') as last_detail,
        max(happened_at) filter (outcome in ('replayed', 'failed')) as last_at,
        list({{
            'outcome': outcome,
            'reason': reason,
            'detail': detail,
            'happened_at': happened_at,
            'run_id': run_id,
            'contract_version': contract_version,
            'mending': mending,
            'version': version
        }} order by happened_at) as history
    from happened
    group by all
)
select
    l.*,
    octet_length(l.payload) as size,
    cast(l._appended_at as date) as day,
    case
        when is_replayed then 'replayed'
        when tries > 0 then 'failed'
        else 'waiting'
    end as standing,
    l.attempts + coalesce(tries, 0) as all_attempts,
    last_reason,
    last_detail,
    last_at,
    history
from {scan} as l
left join became as b
    on b.topic = l._topic and b.topic_id = l._topic_id
    and b."partition" = l._partition and b."offset" = l._offset
where not coalesce(is_purged, false)
"""

_WHOLE: Final = "select * exclude (size, day) from letters"
_ORDER: Final = "contract, _topic, _topic_id, _partition, _offset"


class LetterReader:
    """Dead letters and their history as they were when this was opened; a context manager."""

    def __init__(self, lake: Lake) -> None:
        """Open both.

        Raises:
            MissingTableError: no writer has run yet.
            QueryError: DuckDB cannot be started.
        """
        table = lake.open("bronze", DEAD_LETTERS)
        self._connection = connect(lake)
        self._connection.register("happened", read(lake))
        scan = delta_scan(lake.uri("bronze", DEAD_LETTERS), table.version())
        self._connection.execute(_VIEW.format(scan=scan))
        self.version = table.version()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def count(self, selection: Selection) -> int:
        """Return how many letters there are."""
        where, values = selection.where()
        found = self._connection.execute(f"select count(*) from letters where {where}", values)
        row = found.fetchone()
        return 0 if row is None else int(row[0])

    def letters(self, selection: Selection, limit: int | None = None) -> list[Letter]:
        """Return letters, the newest in Kafka first."""
        where, values = selection.where()
        rows = self._connection.execute(
            "select contract, _topic, _topic_id, _partition, _offset, reason, detail, tenant_id, "
            "_contract_version, _appended_at, _committed_at, size, standing, all_attempts, "
            f"last_reason, last_at from letters where {where} order by _appended_at desc, {_ORDER}"
            + ("" if limit is None else f" limit {int(limit)}"),
            values,
        ).fetchall()
        return [_letter(row) for row in rows]

    def counts(self, by: Grouping, selection: Selection) -> dict[tuple[str | None, str], int]:
        """Return how many letters there are by a column and by what became of them."""
        where, values = selection.where()
        rows = self._connection.execute(
            f"select cast({by} as varchar), standing, count(*) from letters where {where} "
            "group by all",
            values,
        ).fetchall()
        return {(key, standing): count for key, standing, count in rows}

    def by_contract(self, since: datetime) -> list[tuple[str, str, str | None, int, int, int, int]]:
        """Return contract, reason, tenant, and how many are waiting, failed, replayed, and new.

        New are those that the writer put away at ``since`` or later.
        """
        return self._connection.execute(
            "select contract, reason, tenant_id, "
            "count(*) filter (standing = 'waiting'), count(*) filter (standing = 'failed'), "
            "count(*) filter (standing = 'replayed'), "
            "count(*) filter (_committed_at >= $since) from letters group by 1, 2, 3",
            {"since": since},
        ).fetchall()

    def whole(self, selection: Selection) -> Iterator[pa.Table]:
        """Yield letters with their bytes, some at a time, in the order of their coordinates.

        The columns are those of ``bronze.dead_letters`` and ``standing``, ``all_attempts``,
        ``last_reason``, ``last_detail``, ``last_at``, ``history`` (a list, the oldest first).
        """
        where, values = selection.where()
        reader = self._connection.execute(
            f"{_WHOLE} where {where} order by {_ORDER}", values
        ).to_arrow_reader(LETTERS_AT_ONCE)
        for batch in reader:
            yield pa.Table.from_batches([batch])

    def that_hold(
        self, text: str, or_at: Iterable[tuple[str, int, int]]
    ) -> Iterator[dict[str, Any]]:
        """Yield letters whose payload holds a text, or that are at one of some coordinates.

        Args:
            text: what to look for, as it stands in the payload; non-ASCII text is not found.
            or_at: topic id, partition and offset.
        """
        places = [list(map(str, place)) for place in or_at]
        reader = self._connection.execute(
            f"{_WHOLE} where contains(cast(payload as varchar), $text) "
            "or list_contains($places, [_topic_id, cast(_partition as varchar), "
            f"cast(_offset as varchar)]) order by {_ORDER}",
            {"text": text, "places": places or [["", "", ""]]},
        ).to_arrow_reader(LETTERS_AT_ONCE)
        for batch in reader:
            yield from batch.to_pylist()

    def schema(self) -> pa.Schema:
        """Return the columns of ``whole``."""
        return self._connection.execute(f"{_WHOLE} limit 0").to_arrow_table().schema


def _letter(row: tuple[Any, ...]) -> Letter:
    contract, topic, topic_id, partition, offset, *rest = row
    return Letter(contract, Source(topic, topic_id, partition), offset, *rest)


def find(lake: Lake, address: str) -> list[dict[str, Any]]:
    """Return the letter at an address with everything; several when the topic was made again.

    Raises:
        UnknownLetterError: there is none.
        MissingTableError: no writer has run yet.
    """
    topic, partition, offset = parse_address(address)
    selection = Selection(topic=topic, partition=partition, first_offset=offset, last_offset=offset)
    with LetterReader(lake) as reader:
        found = [row for chunk in reader.whole(selection) for row in chunk.to_pylist()]
    if not found:
        raise UnknownLetterError(
            f"there is no dead letter {address}",
            hint="`lakeward dead-letters list` shows those there are; one that was purged is in "
            "ops.dead_letter_history.",
        )
    return found
