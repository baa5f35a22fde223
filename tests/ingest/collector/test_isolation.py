"""A tenant tries to write another's events, by its keys and by its payloads, and gets nowhere."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.settings import IngestSettings
from ingest.tenants.access import open_registry
from ingest.tenants.registry import Registry
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake
from tests.ingest.collector.bronze import drain
from tests.ingest.collector.conftest import make_key
from tests.ingest.collector.running import PATIENCE_S, RunningCollector

ATTACK = "attack-"
VICTIM = "victim"
THIEF = "thief"
WHO = "test"


@pytest.fixture(scope="module")
def registry(shared_home: Path, key: str) -> Registry:
    """Two tenants, of which one is after the other's data."""
    make_key(shared_home, VICTIM)
    make_key(shared_home, THIEF)
    return open_registry(IngestSettings(_env_file=None, home=shared_home))


def body(event_id: str, **members: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {"payload": {"event_id": event_id, "event_type": "x", "occurred_at": at, **members}}


def post(collector: RunningCollector, path: str, content: str, secret: str) -> httpx.Response:
    headers = {"X-Write-Key": secret, "Content-Type": "application/json"}
    return httpx.post(collector.url + path, content=content, headers=headers, timeout=30)


def until(collector: RunningCollector, secret: str, status: int) -> None:
    """Return when the collector answers so to a key: it learns of a change within seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = collector.post("/analytics", body("probe"), secret)
        if answer.status_code == status:
            return
        assert time.monotonic() < deadline, f"{answer.status_code} {answer.text}"
        time.sleep(0.2)


def test_a_key_opens_its_own_tenant_and_nothing_else(
    collector: RunningCollector, registry: Registry
) -> None:
    """Each of these would send an event of another tenant, or one that its key may not send."""
    narrow = registry.add_key(THIEF, "narrow", who=WHO, contracts={"conversions"})
    revoked = registry.add_key(THIEF, "revoked", who=WHO)
    replaced = registry.add_key(THIEF, "replaced", who=WHO)
    own = registry.add_key(THIEF, "own", who=WHO)
    theirs = registry.add_key(VICTIM, "theirs", who=WHO)
    for one in (revoked, replaced, own, theirs):
        until(collector, one.secret, 200)
    registry.revoke_key(THIEF, "revoked", who=WHO)
    registry.rotate_key(THIEF, "replaced", who=WHO, grace=timedelta(0))
    for one in (revoked, replaced):
        until(collector, one.secret, 401)
    forged = f"lw_{theirs.key_id}_{own.secret.split('_')[2]}"
    for n, secret in enumerate((revoked.secret, replaced.secret, forged, theirs.key_id, VICTIM)):
        answer = collector.post("/analytics", body(f"{ATTACK}key-{n}"), secret)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    answer = collector.post("/analytics", body(f"{ATTACK}narrow"), narrow.secret)
    assert answer.json()["events"][0]["reason"] == "contract_not_allowed"
    track = {"event": "x", "anonymousId": "a", "messageId": f"{ATTACK}narrow-track"}
    answer = collector.post("/v1/track", track, narrow.secret)
    assert (answer.status_code, answer.json()["code"]) == (400, "contract_not_allowed")


def test_a_tenant_that_is_not_active_sends_nothing(
    collector: RunningCollector, registry: Registry, shared_home: Path
) -> None:
    for status, change in (("pending", registry.activate), ("suspended", registry.resume)):
        tenant_id = f"is-{status}"
        secret = make_key(shared_home, tenant_id, status="pending")
        if status == "suspended":
            registry.activate(tenant_id, who=WHO)
            registry.suspend(tenant_id, who=WHO)
        until(collector, secret, 403)
        answer = collector.post("/v1/track", {"event": "x", "anonymousId": "a"}, secret)
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_not_active")
        change(tenant_id, who=WHO)
        until(collector, secret, 200)


def test_no_payload_makes_an_event_of_another_tenant(
    collector: RunningCollector, registry: Registry, shared_home: Path, embedded_server: str
) -> None:
    """Whatever names the other tenant is refused, or is a mere property of the sender's event."""
    secret = registry.add_key(THIEF, "payloads", who=WHO).secret
    theirs = registry.add_key(VICTIM, "payloads", who=WHO).secret
    until(collector, secret, 200)

    def own_form(n: int, tenant_members: str) -> str:
        at = datetime.now(UTC).isoformat()
        return (
            f'{{"payload": {{"event_id": "{ATTACK}own-{n}", "event_type": "x", '
            f'"occurred_at": "{at}", {tenant_members}}}}}'
        )

    refused = [
        '"tenant_id": "victim"',
        '"tenant_id": "thief", "tenant_id": "victim"',
        r'"tenant\u005fid": "victim"',
        r'"tenant_id": "vic\u0074im"',
        '"tenant_id": ["victim"]',
        '"tenant_id": "THIEF"',
        '"tenant_id": ""',
        '"tenant_id": 0',
    ]
    for n, members in enumerate(refused):
        answer = post(collector, "/analytics", own_form(n, members), secret)
        (verdict,) = answer.json()["events"]
        assert (verdict["status"], verdict.get("reason")) == ("rejected", "foreign_tenant"), members
    taken = [
        '"tenant_id": "victim", "tenant_id": "thief"',
        '"tenant_id": null',
        '"tenantId": "victim", "Tenant_Id": "victim", "tenant_id ": "victim"',
        '"properties": {"tenant_id": "victim"}, "context": {"tenant_id": "victim"}',
        f'"write_key_id": "{theirs.split("_")[1]}", "request_id": "mine"',
    ]
    for n, members in enumerate(taken, start=len(refused)):
        assert post(collector, "/analytics", own_form(n, members), secret).status_code == 200
    segment = {
        "type": "track", "event": "x", "anonymousId": "a", "messageId": f"{ATTACK}segment",
        "tenant_id": VICTIM, "tenantId": VICTIM, "writeKey": theirs,
        "properties": {"tenant_id": VICTIM}, "context": {"tenant_id": VICTIM},
    }  # fmt: skip
    batch = {"batch": [segment], "tenant_id": VICTIM, "context": {"tenant_id": VICTIM}}
    assert post(collector, "/v1/batch", json.dumps(batch), secret).status_code == 200

    drain(shared_home, embedded_server)
    found = attacks_in_bronze(shared_home)
    expected = {f"{ATTACK}own-{n}" for n in range(len(refused), len(refused) + len(taken))}
    assert {row["event_id"] for row in found} == expected | {f"{ATTACK}segment"}
    assert {row["tenant_id"] for row in found} == {THIEF}
    assert {row["write_key_id"] for row in found} == {secret.split("_")[1]}
    assert all(row["request_id"] != "mine" for row in found)
    assert secret not in collector.said
    assert theirs not in collector.said


def attacks_in_bronze(home: Path) -> list[dict[str, Any]]:
    """Return the rows of every attack; there is no dead letter of one."""
    lake = Lake(LakeSettings(_env_file=None, home=home).root)
    if lake.exists("bronze", DEAD_LETTERS):
        letters = lake.open("bronze", DEAD_LETTERS).to_pyarrow_table(columns=["payload"])
        assert not any(ATTACK.encode() in one for one in letters["payload"].to_pylist())
    rows = lake.open("bronze", "app_events").to_pyarrow_table().to_pylist()
    return [row for row in rows if str(row["event_id"]).startswith(ATTACK)]
