"""While the registry's database is away, its copy lets clients in for a time, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from ingest.collector.admission import Admission
from ingest.collector.answer import Cors
from ingest.collector.app import build_app
from ingest.collector.collecting import Parts
from ingest.collector.intake import Intake
from ingest.collector.kafka_sender import KafkaSender
from ingest.collector.limits import EventLimits
from ingest.collector.outbox import Outbox
from ingest.collector.readiness import Readiness
from ingest.collector.record import Record
from ingest.collector.spill import Spill
from ingest.collector.token_bucket import RateLimits
from ingest.collector.watch import CollectorWatch
from ingest.contracts.registry import load_contracts
from ingest.errors import RegistryError
from ingest.settings import IngestSettings
from ingest.tenants.directory import TenantDirectory
from ingest.tenants.registry import Registry
from tests.databases.postgres import Postgres

MAX_AGE_S = 3600.0
LIMITS = EventLimits(
    max_event_bytes=100_000, max_depth=32, max_age_micros=10**18, max_ahead_micros=10**18
)


class Kafka:
    """Takes every event at once."""

    def __init__(self) -> None:
        self.taken: list[Record] = []

    async def send(self, records: Sequence[Record]) -> list[Record]:
        self.taken += records
        return []


@pytest.fixture
def taken_away(
    database_url: str, request: pytest.FixtureRequest
) -> tuple[Callable[[], None], Callable[[], None]]:
    """What takes the database away, and what brings it back."""
    if database_url.startswith("sqlite:"):
        file = Path(database_url.removeprefix("sqlite:///"))
        elsewhere = file.with_suffix(".elsewhere")
        return lambda: _move(file, elsewhere), lambda: _move(elsewhere, file)
    server: Postgres = request.getfixturevalue("postgres")
    name = urlsplit(database_url).path.lstrip("/")

    def allow(connections: str) -> None:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(f'alter database "{name}" allow_connections {connections}')

    return lambda: allow("false"), lambda: allow("true")


def _move(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # an empty one that a reading has made
    source.rename(target)


def test_a_copy_that_is_too_old_lets_nobody_in_until_the_database_is_back(
    registry: Registry,
    taken_away: tuple[Callable[[], None], Callable[[], None]],
    tmp_path: Path,
) -> None:
    take_away, bring_back = taken_away
    registry.create("acme", who="test")
    stays, ends = (registry.add_key("acme", name, who="test") for name in ("stays", "ends"))
    seconds = 0.0
    directory = TenantDirectory(
        registry.read, refresh_seconds=None, max_age_seconds=MAX_AGE_S, clock=lambda: seconds
    )
    kafka = Kafka()
    spill = Spill(tmp_path / "spill", 0)
    outbox = Outbox(kafka, spill)
    parts = Parts(
        keys=directory,
        intakes={one.name: Intake(one, LIMITS) for one in load_contracts(None)},
        outbox=outbox,
        rates=RateLimits(),
        admission=Admission(10**6),
        watch=CollectorWatch(),
        cors=Cors.parse("*"),
        now=lambda: datetime.now(UTC),
        max_body_bytes=10**6,
        max_batch=10,
    )
    settings = IngestSettings(_env_file=None, home=tmp_path, bootstrap_servers="127.0.0.1:1")
    sender = KafkaSender(settings, delivery_timeout_s=1)
    app = build_app(parts, Readiness(outbox, spill, sender, directory))
    told: list[tuple[int, ...]] = []

    async def ask(client: httpx.AsyncClient) -> None:
        page = f"/v1/projects/{stays.secret}/settings"
        answers = [
            await client.post("/v1/track", json={"event": "x", "writeKey": stays.secret}),
            await client.post(
                "/v1/track", json={"event": "x"}, headers={"X-Write-Key": ends.secret}
            ),
            await client.get(page),
            await client.get("/readyz"),
        ]
        told.append(tuple(answer.status_code for answer in answers))
        for answer in answers[:3]:
            if answer.status_code == 503:
                assert answer.json()["code"] == "registry_away"
                assert int(answer.headers["retry-after"]) > 0
        if answers[3].status_code == 503:
            assert "registry" in answers[3].json()["why"]

    async def scenario() -> None:
        nonlocal seconds
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://lakeward") as client:
            await ask(client)
            registry.revoke_key("acme", "ends", who="test")
            take_away()
            for seconds in (MAX_AGE_S - 1, MAX_AGE_S + 1, 100 * MAX_AGE_S):  # noqa: B007
                with pytest.raises(RegistryError):
                    directory.reload()
                await ask(client)
            bring_back()
            directory.reload()
            await ask(client)
        await outbox.close()
        assert sender.close() == 0

    asyncio.run(scenario())
    assert told == [
        (200, 200, 200, 200),
        (200, 200, 200, 200),  # revoked meanwhile: nobody has told this collector
        (503, 503, 503, 503),
        (503, 503, 503, 503),
        (200, 401, 200, 200),
    ]
    assert len(kafka.taken) == sum(status == 200 for row in told for status in row[:2])
