"""The business numbers that follow from what was sent, by adding up in Python.

They are the other side of the models' sums: dbt works them out from Kafka's messages in SQL,
this from the same events before they were messages. Money is added as decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from ingest.contracts.model import Contract
from ingest.generator.message import Message

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "clickstream": ("tenant_id", "site_id", "event_type"),
    "registrations": ("tenant_id", "site_id"),
    "conversions": ("tenant_id", "site_id", "conversion_type"),
    "ad_events": ("tenant_id", "campaign_id", "channel", "event"),
    "app_events": ("tenant_id", "channel"),
}
"""What each contract's events are counted by, besides the date and whether it lies ahead."""

MONEY: Final = {"conversions": "amount_usd", "ad_events": "cost"}

_STEPS: Final = ("visited", "registered", "connected", "purchased")
_STEP_OF_CONVERSION: Final = {
    "wallet_connect": 2,
    "presale_participate": 3,
    "token_purchase": 3,
}
_BOTH: Final = len(_STEPS)


@dataclass(slots=True)
class Sum:
    """How many events, and their money."""

    count: int = 0
    amount: Decimal = Decimal(0)


@dataclass(slots=True)
class _Columns:
    """The payload members that a contract's totals are made of."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    occurred_at: str
    money: str | None


@dataclass(slots=True)
class Totals:
    """Adds up events that must become rows, each one once."""

    sums: dict[str, dict[tuple[Any, ...], Sum]] = field(default_factory=dict)
    """By contract, then by (date, is_future, *GROUPS)."""
    funnel: dict[tuple[str, str, bool], list[int]] = field(default_factory=dict)
    """By (tenant, site, events dated ahead included): visits that reached each step."""
    _columns: dict[str, _Columns] = field(default_factory=dict)
    _reached: bytearray = field(default_factory=bytearray)
    """By number of the visit: a bit for each step reached, twice (see ``_BOTH``)."""

    @classmethod
    def of(cls, contracts: Sequence[Contract]) -> Totals:
        """Return empty totals for these contracts."""
        totals = cls()
        for contract in contracts:
            groups = GROUPS[contract.name]
            money = MONEY.get(contract.name)
            totals._columns[contract.name] = _Columns(
                names=groups,
                groups=tuple(contract.field(name).payload_name for name in groups),
                occurred_at=contract.field(contract.event_time).payload_name,
                money=None if money is None else contract.field(money).payload_name,
            )
            totals.sums[contract.name] = {}
        return totals

    def add(self, message: Message) -> None:
        """Add one event; its first message only, and none that must become a dead letter."""
        columns = self._columns[message.contract]
        payload = message.payload
        is_future = message.fault == "future"
        key = (
            payload[columns.occurred_at][:10],
            is_future,
            *[payload[name] for name in columns.groups],
        )
        sums = self.sums[message.contract]
        total = sums.get(key)
        if total is None:
            total = sums[key] = Sum()
        total.count += 1
        if columns.money is not None:
            amount = payload[columns.money]
            if isinstance(amount, float | int):  # else null, or a value that will not fit
                total.amount += Decimal(str(amount))
        step = self._step(message)
        if step is not None:
            self._reach(payload["session_id"], key[2], key[3], step, is_future=is_future)

    def _step(self, message: Message) -> int | None:
        if message.contract == "clickstream":
            return 0
        if message.contract == "registrations":
            return 1
        if message.contract == "conversions":
            return _STEP_OF_CONVERSION.get(message.payload["conversion_type"])
        return None

    def _reach(
        self, session_id: str, tenant: str, site: str, step: int, *, is_future: bool
    ) -> None:
        number = int(session_id[-8:], 16)
        if number >= len(self._reached):
            self._reached.extend(bytes(max(4096, number + 1 - len(self._reached))))
        seen = self._reached[number]
        for with_future in (True, False):
            if is_future and not with_future:
                continue
            bit = 1 << (step + (0 if with_future else _BOTH))
            if not seen & bit:
                seen |= bit
                counts = self.funnel.setdefault((tenant, site, with_future), [0] * len(_STEPS))
                counts[step] += 1
        self._reached[number] = seen

    def document(self) -> dict[str, Any]:
        """Return the totals as JSON; money as text, so that no digit is lost."""
        return {
            "events": {
                name: [
                    {
                        "date": key[0],
                        "is_future": key[1],
                        **dict(zip(self._columns[name].names, key[2:], strict=True)),
                        "count": total.count,
                        **({MONEY[name]: str(total.amount)} if name in MONEY else {}),
                    }
                    for key, total in sorted(sums.items())
                ]
                for name, sums in self.sums.items()
            },
            "funnel": [
                {
                    "tenant_id": tenant,
                    "site_id": site,
                    "with_future": with_future,
                    **dict(zip(_STEPS, counts, strict=True)),
                }
                for (tenant, site, with_future), counts in sorted(self.funnel.items())
            ],
        }
