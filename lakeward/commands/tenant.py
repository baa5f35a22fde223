"""``lakeward tenant``: who may send events."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakeward.deprovision import deprovision

if TYPE_CHECKING:
    from datetime import timedelta

    from ingest.tenants.registry import Registry
    from ingest.tenants.secret import NewSecret


class Ip(StrEnum):
    """What is kept of an IP address."""

    keep = "keep"
    truncate = "truncate"
    drop = "drop"


class UserAgent(StrEnum):
    """What is kept of a user agent."""

    keep = "keep"
    parsed = "parsed"


TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
Who = Annotated[
    str | None,
    typer.Option("--who", help="Who the audit log names. [default: the user of this system]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Contracts = Annotated[
    str | None,
    typer.Option(help="Only events of these contracts, comma separated. [default: all]"),
]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
IpOption = Annotated[
    Ip | None, typer.Option(help="What is kept of the sender's IP address. [default: truncate]")
]
UserAgentOption = Annotated[
    UserAgent | None,
    typer.Option(
        help="Whether the user agent's text is kept, or only what it says.  [default: parsed]"
    ),
]
Requests = Annotated[
    float | None,
    typer.Option(
        help="Requests a second, over all keys, in each collector process: N of them let N times "
        "as many in. [default: 500]"
    ),
]
Burst = Annotated[
    int | None,
    typer.Option(help="Requests that may come at once, in each collector process. [default: 1000]"),
]
KeyRequests = Annotated[
    str | None,
    typer.Option(
        help="Requests a second of each key, in each collector process, or `none`. [default: none]"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Who may send events: tenants, their write keys, quotas and privacy settings.",
        no_args_is_help=True,
    )
    group.command()(create)
    group.command("list")(list_tenants)
    group.command()(show)
    group.command()(activate)
    group.command()(suspend)
    group.command()(resume)
    group.command("set")(set_tenant)
    group.command()(add_key)
    group.command()(rotate_key)
    group.command()(revoke_key)
    group.command()(deprovision)
    group.command()(log)
    group.command()(migrate)
    app.add_typer(group, name="tenant")


def create(
    tenant_id: TenantId,
    name: Name = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="Do not let its events in before it is activated.")
    ] = False,
    ip: IpOption = None,
    user_agent: UserAgentOption = None,
    requests_per_second: Requests = None,
    burst: Burst = None,
    key_requests_per_second: KeyRequests = None,
    contracts: Contracts = None,
    who: Who = None,
    as_json: AsJson = False,
) -> None:
    """Register a tenant and give it its first write key, which is shown this once.

    While nobody is registered, every tenant's events are taken. From the first one on, only those
    of active tenants are; others end in dead letters.
    """
    from dataclasses import replace

    from ingest.tenants.model import Privacy, Quota

    registry = _registry()
    allowed = _contracts(contracts)
    is_first = not registry.tenants()
    tenant = registry.create(
        tenant_id,
        name,
        who=_who(who),
        status="pending" if pending else "active",
        privacy=replace(Privacy(), **_privacy(ip, user_agent)),
        quota=replace(Quota(), **_quota(requests_per_second, burst, key_requests_per_second)),
    )
    made = registry.add_key(tenant_id, who=_who(who), contracts=allowed)
    if is_first:
        _warn(
            "This is the first tenant. From now on the events of tenants that are not registered "
            "end in dead letters (reason unknown_tenant)."
        )
    _print_secret(made, {"tenant": asdict(tenant)}, as_json=as_json, said=tenant.status)


def list_tenants(as_json: AsJson = False) -> None:
    """List the tenants: status, quota, privacy and number of keys."""
    from datetime import UTC, datetime

    from ingest.settings import IngestSettings
    from ingest.tenants.access import is_there
    from lakeward.console import console
    from lakeward.tenant_report import print_tenants, record_document

    registry = _registry()
    now = datetime.now(UTC)
    found = registry.tenants() if is_there(IngestSettings()) else []
    keys = {
        one.tenant.tenant_id: sum(key.is_taken(now) for key in registry.keys(one.tenant.tenant_id))
        for one in found
    }
    if as_json:
        documents = [{**record_document(one), "keys": keys[one.tenant.tenant_id]} for one in found]
        console.print_json(data=documents)
    elif not found:
        _say(f"no tenant is registered in {registry.database.address}: every tenant is known")
    else:
        print_tenants(found, keys)


def show(tenant_id: TenantId, as_json: AsJson = False) -> None:
    """Show one tenant and its write keys, without their secrets."""
    from datetime import UTC, datetime

    from lakeward.console import console
    from lakeward.tenant_report import key_document, print_tenant, record_document

    registry = _made_registry()
    now = datetime.now(UTC)
    record, keys = registry.tenant(tenant_id), registry.keys(tenant_id)
    if as_json:
        documents = [key_document(one, now) for one in keys]
        console.print_json(data={**record_document(record), "keys": documents})
    else:
        print_tenant(record, keys, now)


def activate(tenant_id: TenantId, who: Who = None) -> None:
    """Let the events of a pending tenant in."""
    _made_registry().activate(tenant_id, who=_who(who))
    _say(f"{tenant_id} is active")


def suspend(
    tenant_id: TenantId,
    reason: Annotated[str | None, typer.Option(help="Why; the audit log keeps it.")] = None,
    who: Who = None,
) -> None:
    """Keep a tenant's events out; its rows and keys stay. `resume` lets them in again.

    The collector refuses its requests, and the writer puts what else comes in into dead letters,
    both within some seconds.
    """
    _made_registry().suspend(tenant_id, who=_who(who), reason=reason)
    _say(f"{tenant_id} is suspended")


def resume(tenant_id: TenantId, who: Who = None) -> None:
    """Let the events of a suspended tenant in again.

    What came meanwhile stays in dead letters.
    """
    _made_registry().resume(tenant_id, who=_who(who))
    _say(f"{tenant_id} is active")


def set_tenant(
    tenant_id: TenantId,
    name: Name = None,
    ip: IpOption = None,
    user_agent: UserAgentOption = None,
    requests_per_second: Requests = None,
    burst: Burst = None,
    key_requests_per_second: KeyRequests = None,
    who: Who = None,
    as_json: AsJson = False,
) -> None:
    """Change a tenant's name, privacy settings or quota; what is not given stays."""
    from lakeward.console import console

    tenant = _made_registry().set(
        tenant_id,
        who=_who(who),
        name=name,
        privacy=_privacy(ip, user_agent),
        quota=_quota(requests_per_second, burst, key_requests_per_second),
    )
    if as_json:
        console.print_json(data=asdict(tenant))
    else:
        _say(f"{tenant_id} is changed")


def add_key(
    tenant_id: TenantId,
    name: Annotated[str, typer.Argument(help="What people call the key: web, backend, ...")],
    contracts: Contracts = None,
    who: Who = None,
    as_json: AsJson = False,
) -> None:
    """Give a tenant one more write key, which is shown this once."""
    made = _made_registry().add_key(tenant_id, name, who=_who(who), contracts=_contracts(contracts))
    _print_secret(made, {}, as_json=as_json)


def rotate_key(
    tenant_id: TenantId,
    key: Annotated[str, typer.Argument(help="The key's name or id.")] = "default",
    grace: Annotated[
        str, typer.Option(help="How long the old key goes on: 0, 30m, 12h, 7d.")
    ] = "7d",
    who: Who = None,
    as_json: AsJson = False,
) -> None:
    """Replace a write key by a new one of the same name and contracts, shown this once."""
    made = _made_registry().rotate_key(tenant_id, key, who=_who(who), grace=_span(grace))
    _print_secret(made, {}, as_json=as_json, said=f"the old key ends in {grace}")


def revoke_key(
    tenant_id: TenantId,
    key: Annotated[
        str, typer.Argument(help="The key's id, or its name, which means its predecessors too.")
    ],
    who: Who = None,
) -> None:
    """End a write key now."""
    ids = _made_registry().revoke_key(tenant_id, key, who=_who(who))
    _say(f"revoked: {', '.join(ids)}")


def log(
    tenant_id: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="Only this tenant.")
    ] = None,
    newest: Annotated[int, typer.Option("-n", help="So many of the newest entries.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what was changed: when, by whom, what. The oldest comes first."""
    from lakeward.console import console
    from lakeward.tenant_report import entry_document, print_log

    entries = _made_registry().log(tenant_id, newest)
    if as_json:
        console.print_json(data=[entry_document(one) for one in entries])
    else:
        print_log(entries)


def migrate() -> None:
    """Make the registry's tables in PostgreSQL, or bring them up to date.

    SQLite needs no such step. The user of LAKEWARD_TENANT_REGISTRY must be allowed to make tables.
    """
    registry = _registry()
    steps = registry.database.migrate()
    done = f"took the steps {', '.join(steps)}" if steps else "up to date already"
    _say(f"{registry.database.address}: {done}")


def _registry() -> Registry:
    from ingest.settings import IngestSettings
    from ingest.tenants.access import open_registry

    return open_registry(IngestSettings())


def _made_registry() -> Registry:
    """Return the registry; reading does not make one."""
    from ingest.errors import TenantError
    from ingest.settings import IngestSettings
    from ingest.tenants.access import is_there

    registry = _registry()
    if not is_there(IngestSettings()):
        raise TenantError(
            f"no tenant was ever registered in {registry.database.address}",
            hint="`lakeward tenant create` does that; LAKEWARD_HOME and LAKEWARD_TENANT_REGISTRY "
            "say where.",
        )
    return registry


def _who(named: str | None) -> str:
    from lakeward.tenant import user_of

    return user_of(named)


def _contracts(text: str | None) -> frozenset[str] | None:
    """Return the names, after looking that each is a contract."""
    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings

    if text is None:
        return None
    known = load_contracts(IngestSettings().contracts_dir)
    return frozenset(known.by_name(name.strip()).name for name in text.split(",") if name.strip())


def _privacy(ip: Ip | None, user_agent: UserAgent | None) -> dict[str, Any]:
    given = {"ip": ip, "user_agent": user_agent}
    return {name: value.value for name, value in given.items() if value is not None}


def _quota(requests: float | None, burst: int | None, per_key: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if requests is not None:
        found["requests_per_second"] = requests
    if burst is not None:
        found["burst"] = burst
    if per_key is not None:
        try:
            found["key_requests_per_second"] = None if per_key == "none" else float(per_key)
        except ValueError:
            raise typer.BadParameter(
                f"{per_key!r} is no number, and not `none`", param_hint="--key-requests-per-second"
            ) from None
    return found


def _span(text: str) -> timedelta:
    import re
    from datetime import timedelta

    units = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    found = re.fullmatch(r"(\d{1,6})([smhd]?)", text.strip())
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is no time like 0, 30m, 12h or 7d", param_hint="--grace"
        )
    return timedelta(**{units[found[2]]: int(found[1])})


def _print_secret(
    made: NewSecret, more: dict[str, Any], *, as_json: bool, said: str | None = None
) -> None:
    from lakeward.console import console

    if as_json:
        console.print_json(data={**more, "key_id": made.key_id, "write_key": made.secret})
        return
    if said is not None:
        _warn(said)
    _warn("The write key, shown this once; lakeward keeps only a hash of it:")
    console.print(made.secret, highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    from rich.markup import escape

    from lakeward.console import console

    console.print(escape(text), highlight=False, soft_wrap=True)


def _warn(text: str) -> None:
    from rich.markup import escape

    from lakeward.console import errors

    errors.print(escape(text), highlight=False, soft_wrap=True)
