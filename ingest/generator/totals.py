"""The business numbers that follow from what was sent, by adding up in Python.

They are the other side of the models' sums: dbt works them out from Kafka's messages in SQL,
this from the same events before they were messages. Money is added as decimals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

from ingest.contracts.model import Contract

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
_STEP_OF_CONTRACT: Final = {"clickstream": 0, "registrations": 1}
_STEP_OF_CONVERSION: Final = {
    "wallet_connect": 2,
    "presale_participate": 3,
    "token_purchase": 3,
}
_BOTH: Final = len(_STEPS)
_SESSION: Final = itemgetter("session_id")


@dataclass(slots=True)
class Sum:
    """How many events, and their money."""

    count: int = 0
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The payload members that a contract's totals are made of."""

    names: tuple[str, ...]
    group: Callable[[Mapping[str, Any]], tuple[str, ...]]
    occurred_at: str
    money: str | None
    step: int | None
    """The step of the funnel that an event means; conversions have it in their type."""


@dataclass(slots=True)
class Totals:
    """Adds up events that must become rows, each one once."""

    sums: dict[str, dict[tuple[str, bool, tuple[str, ...]], Sum]] = field(default_factory=dict)
    """By contract, then by (date, is_future, GROUPS)."""
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
                group=itemgetter(*(contract.field(name).payload_name for name in groups)),
                occurred_at=contract.field(contract.event_time).payload_name,
                money=None if money is None else contract.field(money).payload_name,
                step=_STEP_OF_CONTRACT.get(contract.name),
            )
            totals.sums[contract.name] = {}
        return totals

    def add(self, contract: str, payloads: Sequence[dict[str, Any]], *, is_future: bool) -> None:
        """Add up events of one contract, all of them dated ahead or none.

        Each event once, and none that must become a dead letter.
        """
        columns = self._columns[contract]
        groups = [columns.group(payload) for payload in payloads]
        dates = [payload[columns.occurred_at][:10] for payload in payloads]
        sums = self.sums[contract]
        for (date, group), count in Counter(zip(dates, groups, strict=True)).items():
            sums.setdefault((date, is_future, group), Sum()).count += count
        if columns.money is not None:
            for payload, date, group in zip(payloads, dates, groups, strict=True):
                amount = payload[columns.money]
                if isinstance(amount, float | int) and amount:  # else a value that will not fit
                    sums[(date, is_future, group)].amount += Decimal(str(amount))
        if columns.step is not None:
            visits = dict(zip(map(_SESSION, payloads), groups, strict=True))
            for session_id, group in visits.items():
                self._reach(session_id, group[0], group[1], columns.step, is_future=is_future)
        elif contract == "conversions":
            for payload, group in zip(payloads, groups, strict=True):
                step = _STEP_OF_CONVERSION.get(group[2])
                if step is not None:
                    self._reach(_SESSION(payload), group[0], group[1], step, is_future=is_future)

    def _reach(
        self, session_id: str, tenant: str, site: str, step: int, *, is_future: bool
    ) -> None:
        number = int(session_id[-8:], 16)
        if number >= len(self._reached):
            self._reached.extend(bytes(max(4096, number + 1 - len(self._reached))))
        bits = 1 << step if is_future else 1 << step | 1 << step + _BOTH
        new = bits & ~self._reached[number]
        if not new:
            return
        self._reached[number] |= new
        for with_future, bit in ((True, 1 << step), (False, 1 << step + _BOTH)):
            if new & bit:
                counts = self.funnel.setdefault((tenant, site, with_future), [0] * len(_STEPS))
                counts[step] += 1

    def document(self) -> dict[str, Any]:
        """Return the totals as JSON; money as text, so that no digit is lost."""
        return {
            "events": {
                name: [
                    {
                        "date": key[0],
                        "is_future": key[1],
                        **dict(zip(self._columns[name].names, key[2], strict=True)),
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
