"""One contract's letters on their way: mended, decoded as the writer does, landed or failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from ingest.contracts.exact import TENANT
from ingest.contracts.model import Contract
from ingest.message_key import split_key
from lake.dead_letters.history import Happening, note, settle
from lake.dead_letters.landing import Landed, Landing
from lake.dead_letters.mend import CannotMendError, Kept, Mender
from lake.dead_letters.outcome import (
    CANNOT_MEND,
    NO_CONTRACT,
    TENANT_CHANGED,
    Replayed,
    Trial,
)
from lake.dead_letters.plan import ReplayPlan
from lake.tables import Lake
from lake.writer.decode import Decoder
from lake.writer.messages import Messages
from lake.writer.source import Source

Coordinates = tuple[int, int]
"""Partition and offset, within one topic."""

Payloads = Mapping[Coordinates, bytes | None]

Failure = tuple[str, str]
"""Reason and detail."""


class Way:
    """The letters of one contract on their way; for use by one thread."""

    def __init__(
        self,
        lake: Lake,
        name: str,
        contract: Contract | None,
        known_tenants: frozenset[str] | None,
        plan: ReplayPlan,
        run_id: str,
        now: Callable[[], datetime],
    ) -> None:
        self._lake = lake
        self._name = name
        self._plan = plan
        self._run_id = run_id
        self._now = now
        self._contract = contract
        self._known_tenants = known_tenants
        self._decoder = self._landing = self._mender = None
        self._steps = None if plan.mending is None else plan.mending.as_json()
        if contract is not None:
            self._decoder = Decoder(contract, known_tenants)
            self._landing = Landing(lake, contract, run_id, self._steps, now=now)
            if plan.mending is not None:
                self._mender = Mender(plan.mending, contract)

    def close(self) -> None:
        """Give back what is held."""
        if self._decoder is not None:
            self._decoder.close()

    def take(self, letters: pa.Table, done: Replayed) -> Replayed:
        """Take letters of one incarnation of a topic; return ``done`` with them added."""
        after, tenants, failed = self._mended(letters)
        rows, rejected = self._decoded(letters, after, failed)
        rows, strangers = self._of_the_same_tenant(rows, tenants)
        failed |= rejected | strangers
        landed = Landed({}, {}, {}, {})
        count = rows.num_rows
        if not self._plan.dry_run:
            if count and self._landing is not None:
                landed = self._landing.land(rows)
                settle(self._lake, self._name, self._landing.open())
                count = _count(landed.landed)
            self._note(letters, failed)
        return replace(
            done,
            taken=done.taken + letters.num_rows,
            replayed=done.replayed + Counter({self._name: count}),
            were_there=done.were_there + _count(landed.were_there),
            unsettled=done.unsettled + _count(landed.unsettled),
            failed=done.failed + Counter(reason for reason, _ in failed.values()),
            trials=(*done.trials, *self._trials(letters, after, rows, failed, done)),
        )

    def _mended(
        self, letters: pa.Table
    ) -> tuple[Payloads, dict[Coordinates, str | None], dict[Coordinates, Failure]]:
        """Return the payloads to decode, the tenants they named before, and what cannot be."""
        after: dict[Coordinates, bytes | None] = {}
        tenants: dict[Coordinates, str | None] = {}
        failed: dict[Coordinates, Failure] = {}
        columns = ["_partition", "_offset", "payload", "key", "_appended_at", "tenant_id"]
        for partition, offset, payload, key, appended_at, tenant in zip(
            *(letters[name].to_pylist() for name in columns), strict=True
        ):
            at = partition, offset
            tenants[at] = tenant
            if self._contract is None:
                failed[at] = NO_CONTRACT, f"there is no contract {self._name}"
            elif self._mender is None:
                after[at] = payload
            else:
                try:
                    mended = self._mender.mend(payload, Kept(appended_at, key))
                except CannotMendError as error:
                    failed[at] = CANNOT_MEND, str(error)
                else:
                    after[at] = mended.payload
                    tenants[at] = tenant or mended.tenant_before or self._tenant_of_key(key)
        return after, tenants, failed

    def _tenant_of_key(self, key: bytes | None) -> str | None:
        """Return the tenant that a message key begins with, if that is a known one."""
        assert self._contract is not None
        if (
            key is None
            or self._known_tenants is None
            or self._contract.message_key[:1] != (TENANT,)
        ):
            return None
        tenant = split_key(key)[0]
        return tenant if tenant in self._known_tenants else None

    def _of_the_same_tenant(
        self, rows: pa.Table, tenants: Mapping[Coordinates, str | None]
    ) -> tuple[pa.Table, dict[Coordinates, Failure]]:
        """Return the rows without those that would be another tenant's than their letter was."""
        if TENANT not in rows.column_names:
            return rows, {}
        strangers: dict[Coordinates, Failure] = {}
        for at, is_now in zip(_coordinates(rows), rows[TENANT].to_pylist(), strict=True):
            was = tenants[at]
            if was not in (None, is_now) and (was, is_now) not in self._plan.tenant_changes:
                strangers[at] = TENANT_CHANGED, "mended, it would be another tenant's event"
        kept = pa.array([at not in strangers for at in _coordinates(rows)], pa.bool_())
        return rows.filter(kept), strangers

    def _decoded(
        self,
        letters: pa.Table,
        after: Payloads,
        failed: Mapping[Coordinates, Failure],
    ) -> tuple[pa.Table, dict[Coordinates, Failure]]:
        """Return the rows that letters make, and why the others make none."""
        good = [at for at in _coordinates(letters) if at not in failed]
        if self._decoder is None or not good:
            return _NO_ROWS, {}
        mask = pa.array([at not in failed for at in _coordinates(letters)])
        theirs = letters.filter(mask)
        decoded = self._decoder.decode(
            Messages(
                topic=theirs["_topic"][0].as_py(),
                topic_id=theirs["_topic_id"][0].as_py(),
                partition=_array(theirs["_partition"]),
                offset=_array(theirs["_offset"]),
                appended_at=_array(theirs["_appended_at"]),
                key=_array(theirs["key"]),
                value=pa.array([after[at] for at in good], pa.binary()),
            )
        )
        why = zip(
            decoded.dead["reason"].to_pylist(), decoded.dead["detail"].to_pylist(), strict=True
        )
        return decoded.rows, dict(zip(_coordinates(decoded.dead), why, strict=True))

    def _note(self, letters: pa.Table, failed: Mapping[Coordinates, Failure]) -> None:
        version = None if self._contract is None else self._contract.version
        topics = letters["_topic"].to_pylist(), letters["_topic_id"].to_pylist()
        note(
            self._lake,
            (
                Happening(
                    contract=self._name,
                    source=Source(topic, topic_id, at[0]),
                    offset=at[1],
                    outcome="failed",
                    happened_at=self._now(),
                    run_id=self._run_id,
                    reason=failed[at][0],
                    detail=failed[at][1],
                    contract_version=version,
                    mending=self._steps,
                )
                for topic, topic_id, at in zip(*topics, _coordinates(letters), strict=True)
                if at in failed
            ),
        )

    def _trials(
        self,
        letters: pa.Table,
        after: Payloads,
        rows: pa.Table,
        failed: Mapping[Coordinates, Failure],
        done: Replayed,
    ) -> list[Trial]:
        room = self._plan.shown - len(done.trials)
        if room <= 0:
            return []
        shown = letters.slice(0, room)
        row_at = {at: number for number, at in enumerate(_coordinates(rows))}
        found = []
        for topic, at, payload in zip(
            shown["_topic"].to_pylist(),
            _coordinates(shown),
            shown["payload"].to_pylist(),
            strict=True,
        ):
            number = row_at.get(at)
            reason, detail = failed.get(at, (None, None))
            found.append(
                Trial(
                    address=f"{topic}:{at[0]}:{at[1]}",
                    contract=self._name,
                    before=payload,
                    after=after.get(at),
                    row=None if number is None else rows.slice(number, 1).to_pylist()[0],
                    reason=reason,
                    detail=detail,
                )
            )
        return found


_NO_ROWS: Final = pa.table(
    {"_partition": pa.array([], pa.int32()), "_offset": pa.array([], pa.int64())}
)


def _coordinates(rows: pa.Table) -> list[Coordinates]:
    return list(zip(rows["_partition"].to_pylist(), rows["_offset"].to_pylist(), strict=True))


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _count(offsets: Mapping[Source, Any]) -> int:
    return sum(map(len, offsets.values()))
