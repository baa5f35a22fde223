"""A tenant's rows and their files are gone, everybody else's stay, and the audit says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.commit_ranges import missing_rows
from lake.erasure import rewrite
from lake.erasure.certificate import Certificate
from lake.erasure.ledger import ErasureLedger
from lake.erasure.tenant import erase_tenant
from lake.errors import ErasureError
from lake.maintenance.compaction import compact
from lake.tables import DEAD_LETTERS, Lake
from tests.lake.erasure.written import BOTH, Written, counts
from tests.lake.writer.bench import P0, P1, batch, raw, visit
from tests.object_stores.files import paths


@pytest.fixture
def written(tmp_path: Path) -> Written:
    made = Written.at(tmp_path)
    made.write(3)
    return made


@pytest.fixture
def written_anywhere(make_lake: Callable[[], Lake]) -> Written:
    """On a disk, and on an object store."""
    made = Written.on(make_lake())
    made.write(3)
    return made


def test_the_rows_and_their_files_are_gone_and_the_audit_accounts_for_them(
    written_anywhere: Written,
) -> None:
    written = written_anywhere
    others = [row for row in rows_of(written) if row[2] != "acme"]
    before = written.audit()
    certificate = written.erase()
    assert written.tenants() == {*BOTH, None}
    assert rows_of(written) == others
    assert written.is_on_disk(b"acme") == []
    assert counts(certificate) == {
        "bronze.dead_letters": 10 + 2 * 3,  # readable ones, and those whose bytes name it
        "bronze.visits": before.rows - len(others),
    }
    report = written.audit()
    assert report.is_clean, report.findings
    assert (report.messages, report.rows + report.dead + report.erased) == (180, 180)
    assert report.erased == certificate.rows
    for name in ("visits", DEAD_LETTERS):
        assert missing_rows(written.lake, name, written.table(name)) == 0


def test_a_loss_beside_an_erasure_is_still_a_loss(written: Written) -> None:
    written.erase()
    written.table().delete("_partition = 0 and _offset = 1")
    ((kind, count),) = [(f.kind, f.count) for f in written.audit().findings]
    assert (kind, count) == ("lost", 1)


def test_other_files_are_left_as_they_are(written: Written) -> None:
    written.sink.write(batch(*((p, 89, [visit(p, 90, tenant_id="zebra")]) for p in (P0, P1))))
    newest = set(written.table().file_uris()[:1])
    written.erase()
    assert newest <= set(written.table().file_uris())


def test_what_compaction_replaced_is_deleted_too(written_anywhere: Written) -> None:
    written = written_anywhere
    written.write(9)
    compact(written.lake, "bronze", "visits", target_size=2**20, now=lambda: datetime.now(UTC))
    assert len(written.is_on_disk(b"acme")) > len(written.table().file_uris())
    written.erase()
    assert written.is_on_disk(b"acme") == []
    assert written.audit().is_clean


def test_a_file_that_a_commit_may_still_bring_is_counted_and_deleted_when_it_is_old(
    written: Written,
) -> None:
    folder = Path(written.table().file_uris()[0].removeprefix("file://")).parent
    rows = written.table().to_pyarrow_table(filters=[("tenant_id", "=", "acme")])
    pq.write_table(rows, folder / "of-a-writer-that-was-fenced.parquet")
    place = rows.column_names.index("_offset")
    rows = rows.set_column(place, "_offset", pa.array(range(900, 900 + rows.num_rows), pa.int64()))
    pq.write_table(rows, folder / "of-a-writer-at-work.parquet")
    certificate = written.erase()
    assert {t.table: t.undecided_files for t in certificate.tables}["bronze.visits"] == 1
    (left,) = written.is_on_disk(b"acme")
    assert left.endswith("of-a-writer-at-work.parquet")
    assert written.erase() == certificate
    assert written.is_on_disk(b"acme") == [left]
    erase_tenant(written.lake, "acme", now=lambda: datetime.now(UTC) + timedelta(days=2))
    assert written.is_on_disk(b"acme") == []


def test_the_writer_goes_on_with_the_handle_it_has(written: Written) -> None:
    conflicts = written.sink._bronze.conflicts
    written.erase()
    written.write(1)
    assert written.sink._bronze.conflicts == conflicts
    assert written.audit().is_clean
    assert written.audit().messages == 240


def test_statistics_do_not_keep_the_erased_values(written: Written) -> None:
    written.erase()
    files = pa.table(written.table().get_add_actions(flatten=True)).to_pylist()
    assert {file["min.tenant_id"] for file in files} == {"globex"}
    assert all(file["min.event_id"] is not None for file in files)
    found = written.table().to_pyarrow_table(filters=[("tenant_id", "=", "globex")])
    assert found.num_rows == sum(1 for row in rows_of(written) if row[2] == "globex")


def test_a_second_erasure_finds_nothing_and_returns_the_certificate_there_is(
    written: Written,
) -> None:
    first = written.erase()
    versions = [written.table(name).version() for name in ("visits", DEAD_LETTERS)]
    assert written.erase() == first
    assert [written.table(name).version() for name in ("visits", DEAD_LETTERS)] == versions
    assert ErasureLedger(written.lake).certificates() == [first]


def test_what_came_after_the_certificate_is_erased_under_one_of_its_own(
    written: Written,
) -> None:
    first = written.erase()
    written.write(1)
    second = written.erase()
    assert second.erasure_id != first.erasure_id
    assert 0 < second.rows < first.rows
    assert written.tenants() == {*BOTH, None}
    assert ErasureLedger(written.lake).certificates("acme") == [first, second]
    assert written.audit().is_clean


@pytest.mark.parametrize("moment", ["announced", "committed", "undeleted", "uncertified"])
def test_a_run_that_was_killed_is_gone_on_with_and_counts_the_same(
    written: Written, moment: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory
) -> None:
    undisturbed = Written.at(tmp_path_factory.mktemp("undisturbed"))
    undisturbed.write(3)
    wanted = counts(undisturbed.erase())

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(rewrite, "FILES_A_COMMIT", 1)
    commit = rewrite.TableErasure._commit

    with monkeypatch.context() as patch:

        def second_dies(self: object, *args: object) -> None:
            commit(self, *args)  # type: ignore[arg-type]
            patch.setattr(rewrite.TableErasure, "_commit", die)

        if moment == "announced":
            patch.setattr(rewrite.TableErasure, "_commit", die)
        elif moment == "committed":
            patch.setattr(rewrite.TableErasure, "_commit", second_dies)
        elif moment == "undeleted":
            patch.setattr("lake.erasure.tenant.delete_leftovers", die)
        else:
            patch.setattr(ErasureLedger, "finish", die)
        with pytest.raises(Killed):
            written.erase()
    assert written.audit().is_clean
    certificate = written.erase()
    assert counts(certificate) == wanted
    assert written.is_on_disk(b"acme") == []
    assert written.audit().is_clean
    assert ErasureLedger(written.lake).certificates() == [certificate]


def test_it_does_not_end_while_the_tenants_rows_keep_coming(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rewrite.TableErasure.run

    def with_more(self, announce, now):  # type: ignore[no-untyped-def]
        done = run(self, announce, now)
        if self._table.name == "visits":
            written.write(1)
        return done

    monkeypatch.setattr(rewrite.TableErasure, "run", with_more)
    with pytest.raises(ErasureError, match="keep coming"):
        written.erase()
    monkeypatch.undo()
    written.erase()
    assert written.tenants() == {*BOTH, None}
    assert written.audit().is_clean


def test_a_compaction_in_between_makes_it_plan_anew(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.write(9)
    interrupt_once(monkeypatch, lambda: compact_now(written))
    written.erase()
    assert written.tenants() == {*BOTH, None}
    assert written.is_on_disk(b"acme") == []
    assert written.audit().is_clean


def test_a_compaction_that_an_erasure_overtakes_gives_way(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.write(9)
    from lake.maintenance import compaction

    merge = compaction.merge_files

    def overtaken(*args, **kwargs):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(compaction, "merge_files", merge)
        merged = merge(*args, **kwargs)
        written.erase()
        return merged

    monkeypatch.setattr(compaction, "merge_files", overtaken)
    assert compact_now(written).conflicts == 1
    assert written.tenants() == {*BOTH, None}
    assert written.audit().is_clean


def test_two_erasures_at_once_end_as_one(
    written_anywhere: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = written_anywhere
    others: list[Certificate] = []
    interrupt_once(monkeypatch, lambda: others.append(written.erase()))
    certificate = written.erase()
    assert others == [certificate]
    assert written.audit().is_clean


def test_a_tenant_whose_name_needs_escaping_is_erased_from_its_partitions(
    written_anywhere: Written,
) -> None:
    written = written_anywhere
    options = written.lake.storage_options
    name = "o'neil & söhne/50%"
    silver = written.lake.uri("silver", "stg_visits")
    rows = pa.table(
        {"tenant_id": [name, name, "globex"], "event_date": ["a", "b", "a"], "n": [1, 2, 3]}
    )
    write_deltalake(silver, rows, partition_by=["tenant_id", "event_date"], storage_options=options)
    certificate = written.erase(name)
    assert counts(certificate)["silver.stg_visits"] == 2
    left = DeltaTable(silver, storage_options=options).to_pyarrow_table()
    assert left.to_pylist() == [rows.to_pylist()[2]]
    folders = {path.split("/")[2] for path in paths(written.lake) if path.startswith("silver/")}
    assert folders == {"_delta_log", "tenant_id=globex"}
    if not written.lake.is_remote:
        assert [path.name for path in Path(silver).glob("tenant_id=*")] == ["tenant_id=globex"]
    assert written.tenants() == {"acme", "globex", None}


def test_dead_letters_ahead_of_bronze_are_decoded_anew_and_nothing_is_there_twice(
    written: Written,
) -> None:
    """A writer died between its two commits, and then the dead letters were erased."""
    stored = written.next - 1
    letters = [raw(P0, 90, b'{"tenant_id": "acme", '), visit(P0, 91, tenant_id="globex")]
    bronze_commit = written.sink._bronze.commit
    written.sink._bronze.commit = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        written.sink.write(batch((P0, stored, letters)))
    written.sink._bronze.commit = bronze_commit  # type: ignore[method-assign]
    written.erase()
    again = written.bench.sink()
    assert written.bench.take_over(again, P0) == {P0: stored}
    again.write(batch((P0, stored, letters)))
    report = written.audit()
    assert report.is_clean, report.findings
    assert written.erase().rows == 1
    assert written.audit().is_clean


def test_a_table_with_features_unknown_to_lakeward_is_refused(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "not_understood", lambda _: "it uses deletionVectors")
    with pytest.raises(ErasureError, match="deletionVectors"):
        written.erase()


def rows_of(written: Written) -> list[tuple[int, int, str]]:
    columns = ["_partition", "_offset", "tenant_id"]
    rows = written.table().to_pyarrow_table(columns=columns)
    return sorted(zip(*(rows[name].to_pylist() for name in columns), strict=True))


def compact_now(written: Written):  # type: ignore[no-untyped-def]
    return compact(
        written.lake, "bronze", "visits", target_size=2**20, now=lambda: datetime.now(UTC)
    )


def interrupt_once(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Let something happen between planning the first commit of an erasure and making it."""
    commit = rewrite.TableErasure._commit

    def interrupted(self, *args):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(rewrite.TableErasure, "_commit", commit)
        what()
        return commit(self, *args)

    monkeypatch.setattr(rewrite.TableErasure, "_commit", interrupted)
