"""An event's life on the terminal and as JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from lakeward.console import console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.settings import IngestSettings
    from lake.trace.gold import Bucket
    from lake.trace.life import Life, RowLife
    from lake.trace.silver import InSilver


def key_name(settings: IngestSettings, tenant: str | None, key_id: str | None) -> str | None:
    """Return what people call a write key; None where the registry does not know it."""
    from ingest.errors import LakewardError
    from ingest.tenants.access import is_there, open_registry

    if tenant is None or key_id is None or not is_there(settings):
        return None
    try:
        keys = open_registry(settings).keys(tenant)
    except LakewardError:  # the tenant is gone, or the registry is away: the id is told anyway
        return None
    return next((one.key.name for one in keys if one.key.key_id == key_id), None)


def print_life(life: Life, names: Mapping[str | None, str | None]) -> None:
    """Print everything, a line a station."""
    for row in life.rows:
        _print_row(row, names)
    for letter in life.letters:
        _print_letter(letter)


def _print_row(row: RowLife, names: Mapping[str | None, str | None]) -> None:
    bronze = row.bronze
    _head(f"{bronze.contract}  {', '.join(f'{k}={v}' for k, v in bronze.key.items())}")
    key = bronze.write_key_id
    _line("request", bronze.request_id or "not by HTTP, or not known")
    if key is not None:
        named = names.get(key)
        _line("write key", key if named is None else f"{named} ({key})")
    _line("tenant", bronze.tenant_id or "-")
    _line(
        "Kafka",
        f"{bronze.source.topic}:{bronze.source.partition}:{bronze.offset}  "
        f"{_time(bronze.appended_at)}  (topic id {bronze.source.topic_id})",
    )
    _line("bronze", f"{_versions(bronze.versions)}  {_time(bronze.committed_at)}  {bronze.file}")
    if bronze.replay is not None:
        how = "as it was" if bronze.replay.mending is None else "mended"
        _line("", f"of a dead letter, replayed {how} by run {bronze.replay.run_id}")
    _line("silver", _of_silver(row.silver))
    for bucket in row.gold:
        _line("gold", _of_gold(bucket, bronze.tenant_id))
    if row.silver.fate == "row" and not row.gold:
        _line("gold", "no gold table reads it yet: `lakeward build`")


def _of_silver(silver: InSilver) -> str:
    if silver.fate == "row":
        return f"silver.{silver.table}, event_date {silver.event_date}"
    if silver.fate == "duplicate" and silver.first is not None:
        topic, partition, offset = silver.first
        return f"a duplicate of {topic}:{partition}:{offset}, which came first"
    if silver.fate == "rejected":
        return f"rejected: {silver.reason} (silver.{silver.table})"
    if silver.fate == "not_built":
        return "not yet: `lakeward build` brings it there"
    return "nowhere: read, and not there any more"


def _of_gold(bucket: Bucket, tenant: str | None) -> str:
    through = "" if not bucket.through else f", through {' and '.join(bucket.through)}"
    text = f"{bucket.table}  {tenant}, {bucket.column} {bucket.day}: {bucket.rows:,} rows{through}"
    return f"{text}; behind, `lakeward build`" if bucket.is_behind else text


def _print_letter(letter: dict[str, Any]) -> None:
    address = f"{letter['_topic']}:{letter['_partition']}:{letter['_offset']}"
    _head(f"{letter['contract']}  dead letter")
    _line("Kafka", f"{address}  {_time(letter['_appended_at'])}  (topic id {letter['_topic_id']})")
    _line("reason", f"{letter['reason']}: {letter['detail']}")
    _line("outcome", f"{letter['standing']}, {letter['all_attempts']} tries")
    for one in letter["history"] or []:
        why = ": ".join(part for part in (one["reason"], one["detail"]) if part)
        version = "" if one["version"] is None else f"bronze version {one['version']}"
        told = "  ".join(part for part in (one["outcome"], why, version) if part)
        _line("", f"{_time(one['happened_at'])}  {told}  run {one['run_id']}")
    _line("", f"`lakeward dead-letters show {address}` has the rest")


def _head(text: str) -> None:
    from lake.dead_letters.readable import printable

    console.print(Text(printable(text), style="bold"), soft_wrap=True)


def _line(name: str, text: str) -> None:
    from lake.dead_letters.readable import printable

    console.print(Text(f"  {name:<10} {printable(text)}"), soft_wrap=True)


def life_document(life: Life, names: Mapping[str | None, str | None]) -> dict[str, Any]:
    """Return everything as JSON values; a dead letter without its bytes."""
    return {
        "event_id": life.event_id,
        "rows": [_row_document(row, names) for row in life.rows],
        "dead_letters": [
            {
                name: _plain(value)
                for name, value in letter.items()
                if name not in ("payload", "key", "headers")
            }
            for letter in life.letters
        ],
    }


def _row_document(row: RowLife, names: Mapping[str | None, str | None]) -> dict[str, Any]:
    bronze, silver = row.bronze, row.silver
    return {
        "contract": bronze.contract,
        "key": bronze.key,
        "tenant_id": bronze.tenant_id,
        "request_id": bronze.request_id,
        "write_key_id": bronze.write_key_id,
        "write_key": names.get(bronze.write_key_id),
        "kafka": {
            "topic": bronze.source.topic,
            "topic_id": bronze.source.topic_id,
            "partition": bronze.source.partition,
            "offset": bronze.offset,
            "appended_at": _time(bronze.appended_at),
        },
        "bronze": {
            "table": f"bronze.{bronze.contract}",
            "versions": None if bronze.versions is None else list(bronze.versions),
            "file": bronze.file,
            "committed_at": _time(bronze.committed_at),
            "contract_version": bronze.contract_version,
            "replayed_by": None if bronze.replay is None else bronze.replay.run_id,
            "mending": None if bronze.replay is None else bronze.replay.mending,
        },
        "silver": {
            "fate": silver.fate,
            "table": f"silver.{silver.table}",
            "event_date": _plain(silver.event_date),
            "duplicate_of": None if silver.first is None else ":".join(map(str, silver.first)),
            "reason": silver.reason,
        },
        "gold": [
            {
                "table": one.table,
                "column": one.column,
                "date": _plain(one.day),
                "rows": one.rows,
                "through": list(one.through),
                "is_behind": one.is_behind,
            }
            for one in row.gold
        ],
    }


def _versions(versions: tuple[int, int] | None) -> str:
    if versions is None:
        return "version not known"
    first, last = versions
    return f"version {first}" if first == last else f"one of versions {first} to {last}"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
