"""What the collector knows of one request, whichever API it came by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from ingest.tenants.model import WriteKey

HEADER_REQUEST_ID: Final = "lakeward-request-id"
HEADER_WRITE_KEY_ID: Final = "lakeward-write-key-id"
HEADER_WRITE_KEY_NAME: Final = "lakeward-write-key-name"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RequestContext(NamedTuple):
    """One authenticated request.

    A tuple for the same reason as ``ingest.collector.record.Record``: one is made for each.
    """

    request_id: str
    key: WriteKey
    peer: str | None
    """Address of the client, or of a trusted proxy's client."""
    user_agent: str | None
    received_at: str
    """By the collector's clock, UTC, as it goes into events."""
    received_micros: int
    """The same in microseconds since 1970 UTC."""

    @classmethod
    def at(
        cls,
        now: datetime,
        *,
        request_id: str,
        key: WriteKey,
        peer: str | None = None,
        user_agent: str | None = None,
    ) -> RequestContext:
        """Return the context of a request that was received ``now``, in UTC."""
        since = now - _EPOCH
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return cls(request_id, key, peer, user_agent, micros_as_text(micros), micros)

    @property
    def headers(self) -> list[tuple[str, str | bytes | None]]:
        """The Kafka headers of every message: a dead letter keeps them too."""
        return [
            (HEADER_REQUEST_ID, self.request_id.encode()),
            (HEADER_WRITE_KEY_ID, self.key.key_id.encode()),
            (HEADER_WRITE_KEY_NAME, self.key.name.encode()),
        ]


def micros_as_text(micros: int) -> str:
    """Write microseconds since 1970 UTC in ISO 8601."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second_as_text(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=64)
def _second_as_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
