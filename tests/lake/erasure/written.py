"""A lake with rows and letters of three tenants, one of which is to be erased."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
from confluent_kafka import Message

from lake.erasure.certificate import Certificate
from lake.erasure.tenant import erase_tenant
from lake.tables import DEAD_LETTERS
from lake.writer.source import Source
from tests.lake.maintenance.rounds import Rounds
from tests.lake.writer.bench import CONTRACT, P0, P1, batch, poison, raw, visit
from tests.object_stores.files import files, paths

BOTH = {"globex", "o'neil & söhne/50%"}


def message(source: Source, offset: int) -> Message:
    """Of three tenants; every tenth is no JSON, and says whose it is in one case of two."""
    tenant = ("acme", "globex", "o'neil & söhne/50%")[offset % 3]
    if offset % 20 == 9:
        return raw(source, offset, b'{"x": 1, "tenant_id" :"acme", broken')
    if offset % 10 == 9:
        return poison(source, offset)
    if offset % 10 == 8:  # readable, and still no row: it has no time
        text = json.dumps({"event_id": str(offset), "tenant_id": tenant})
        return raw(source, offset, text.encode())
    return visit(source, offset, tenant_id=tenant)


class Written(Rounds):
    """Commits of 30 messages a partition."""

    def write(self, commits: int) -> None:
        for _ in range(commits):
            offsets = range(self.next, self.next + 30)
            held = self.next - 1 if self.next else None
            flushed = self.sink.write(
                batch(*((p, held, [message(p, o) for o in offsets]) for p in (P0, P1)))
            )
            assert flushed.landed == {P0: offsets[-1], P1: offsets[-1]}
            self.next += 30

    def erase(self, tenant_id: str = "acme") -> Certificate:
        return erase_tenant(self.lake, tenant_id, [CONTRACT])

    def tenants(self) -> set[str | None]:
        """Who is named by rows, or by dead letters."""
        found: set[str | None] = set()
        for name in ("visits", DEAD_LETTERS):
            table = self.table(name).to_pyarrow_table(columns=["tenant_id"])
            found |= set(table["tenant_id"].to_pylist())
        return found

    def is_on_disk(self, what: bytes) -> list[str]:
        """The data files, of whatever version, that hold a text."""
        found = []
        for path in paths(self.lake):
            if not path.endswith(".parquet") or "_delta_log/" in path or path.startswith("ops/"):
                continue
            with files(self.lake).open_input_file(path) as file:
                if what.decode() in str(pq.read_table(file).to_pylist()):
                    found.append(path)
        return found


def counts(certificate: Certificate) -> dict[str, int]:
    """Rows by table, of those tables that had some."""
    return {table.table: table.rows for table in certificate.tables if table.rows}
