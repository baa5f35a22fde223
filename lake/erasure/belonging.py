"""Which rows are a tenant's.

A row that names its tenant is that tenant's and nobody else's. Only a dead letter may name none,
because it could not be read; it is the tenant's when its bytes say so: when its message key begins
with the tenant (in a contract whose keys do), or when its payload holds the tenant's id as the
value of the member that names tenants, at any depth, however broken the rest is. A letter that
holds events of several tenants (a list, where one object is expected) goes with the first of them
that is erased.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.exact import TENANT
from ingest.contracts.model import Contract
from ingest.message_key import join_key

UNREAD: Final = ("payload", "key", "contract")
"""The columns of a dead letter that are looked at when it names no tenant."""


class Doomed(Protocol):
    """Tells the rows that are to go from those that stay."""

    def may_hold(self, file: Mapping[str, Any], partition_columns: Sequence[str]) -> bool:
        """Tell whether a file, a row of ``get_add_actions(flatten=True)``, needs to be read."""
        ...

    def columns(self, names: Iterable[str]) -> list[str]:
        """Return the columns that must be read, of those that a table has."""
        ...

    def mask(self, rows: pa.RecordBatch | pa.Table) -> pa.Array | pa.ChunkedArray:
        """Return for each row whether it is to go; never null."""
        ...


class Belonging:
    """Tells the rows of one tenant from all others."""

    def __init__(self, tenant_id: str, contracts: Iterable[Contract] = ()) -> None:
        self.tenant_id = tenant_id
        known = list(contracts)
        members = {
            f.payload_name for contract in known for f in contract.fields if f.name == TENANT
        }
        self._named = _named({TENANT, *members}, tenant_id)
        self._keyed = {c.name for c in known if c.message_key and c.message_key[0] == TENANT}
        self._key = join_key([tenant_id])
        self._key_begins = join_key([tenant_id, ""])

    def __str__(self) -> str:
        return repr(self.tenant_id)

    def may_hold(self, file: Mapping[str, Any], partition_columns: Sequence[str]) -> bool:
        """Tell by what the log says of a file whether it needs to be read."""
        if TENANT in partition_columns:
            return bool(file[f"partition.{TENANT}"] == self.tenant_id)
        least, most = file.get(f"min.{TENANT}"), file.get(f"max.{TENANT}")
        nulls = file.get(f"null_count.{TENANT}")
        if least is None or most is None or nulls is None or nulls > 0:
            return True
        # a store may cut long bounds off, and a bound that was cut is a prefix of the value
        tenant = self.tenant_id
        return bool(least <= tenant and (tenant <= most or tenant.startswith(most)))

    @staticmethod
    def columns(names: Iterable[str]) -> list[str]:
        """Return the columns that must be read, of those that a table has."""
        there = set(names)
        return [TENANT, *(UNREAD if there.issuperset(UNREAD) else ())]

    def mask(self, rows: pa.RecordBatch | pa.Table) -> pa.Array | pa.ChunkedArray:
        """Return for each row whether it is the tenant's; never null.

        ``rows`` has the columns that ``columns`` names.
        """
        tenants = rows.column(TENANT)
        mine = pc.fill_null(pc.equal(tenants, pa.scalar(self.tenant_id, tenants.type)), False)
        if not set(UNREAD) <= set(rows.schema.names) or not tenants.null_count:
            return mine
        columns = [pc.is_null(tenants), *(rows.column(name) for name in UNREAD)]
        unread = [
            is_null and self._says_so(payload, key, contract)
            for is_null, payload, key, contract in zip(
                *(column.to_pylist() for column in columns), strict=True
            )
        ]
        return pc.or_(mine, pa.array(unread, pa.bool_()))

    def _says_so(self, payload: bytes | None, key: bytes | None, contract: str | None) -> bool:
        is_keyed = key is not None and contract in self._keyed
        if is_keyed and (key == self._key or key.startswith(self._key_begins)):  # type: ignore[union-attr]
            return True
        return payload is not None and self._named.search(payload) is not None


def _named(members: Iterable[str], tenant_id: str) -> re.Pattern[bytes]:
    """Return what finds ``"tenant_id": "acme"`` in bytes, escaped or not."""
    spellings = {json.dumps(tenant_id), json.dumps(tenant_id, ensure_ascii=False)}
    names = b"|".join(re.escape(json.dumps(name).encode()) for name in sorted(members))
    values = b"|".join(re.escape(text.encode()) for text in sorted(spellings))
    return re.compile(rb"(?:" + names + rb")\s*:\s*(?:" + values + rb")")
