"""What is known of a tenant and of its write keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Status = Literal["pending", "active", "suspended", "deprovisioned"]
"""``pending``: made, not yet let in. ``active``: its events are taken. ``suspended``: they are not,
and nothing of it is deleted. ``deprovisioned``: its rows are deleted; the end."""

IpSetting = Literal["keep", "truncate", "drop"]
UserAgentSetting = Literal["keep", "parsed"]


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is kept of the person behind a request.

    The defaults keep what reports need and no more: the network of the address, and the browser
    and device that the user agent names.
    """

    ip: IpSetting = "truncate"
    """``keep``: the whole address. ``truncate``: the last octet of an IPv4 address, and all but
    the first 48 bits of an IPv6 address, are set to zero. ``drop``: none."""

    user_agent: UserAgentSetting = "parsed"
    """``keep``: the text as well as what is read from it. ``parsed``: only the latter."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How fast a tenant may send: a token bucket of requests, in one collector process."""

    requests_per_second: float = 500.0
    """How fast the tenant's bucket fills, over all of its keys."""

    burst: int = 1_000
    """How many requests the full bucket holds."""

    key_requests_per_second: float | None = None
    """How fast the bucket of each single key fills; None: a key may use all that its tenant may."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer, team or product whose events are kept apart from all others'."""

    tenant_id: str
    name: str
    status: Status
    privacy: Privacy = field(default_factory=Privacy)
    quota: Quota = field(default_factory=Quota)

    @property
    def may_send(self) -> bool:
        """True when its events are taken."""
        return self.status in TAKEN


@dataclass(frozen=True, slots=True)
class WriteKey:
    """What a client proves itself with. It may send events of its tenant and read nothing."""

    key_id: str
    """The part of the secret that is no secret: it may be logged and shown."""

    name: str
    tenant: Tenant
    contracts: frozenset[str] | None = None
    """Names of the contracts whose events it may send; None: of every contract."""

    def may_send(self, contract: str) -> bool:
        """True when an event of ``contract`` is taken with this key."""
        return self.tenant.may_send and (self.contracts is None or contract in self.contracts)


TAKEN: Final[frozenset[Status]] = frozenset({"active"})
"""The statuses of the tenants whose events are taken."""
