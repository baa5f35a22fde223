"""``kill -9`` of commands that change the lake for good, at random moments, and then once more.

``LAKEWARD_TEST_KILLS`` sets how many moments: a few here, as many as one likes by hand. A moment
is so many commits after the start and some milliseconds more, so that it lies within the work and
not within the imports before it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from ingest.settings import IngestSettings
from ingest.tenants.access import default_file, open_registry
from ingest.tenants.database import Database
from ingest.tenants.registry import Registry
from lake.audit import AuditReport, audit
from lake.dead_letters.history import happenings, read
from lake.erasure.ledger import ErasureLedger
from lake.erasure.tenant import erase_tenant
from lake.tables import Lake
from lake.writer.source import Source
from tests.lake.dead_letters.letterbox import without_time, write_contract
from tests.lake.erasure.written import Written, counts
from tests.lake.writer.bench import CONTRACT, TOPIC, Bench, batch

KILLS = int(os.environ.get("LAKEWARD_TEST_KILLS", "3"))
SEED = 20_261_126
MOST_COMMITS = 4
LONGEST_PAUSE_S = 0.02
TIMEOUT_S = 300
LETTERS = 3
"""In each incarnation of the topic, all of which are replayed by commits of their own."""


@dataclass(frozen=True)
class Home:
    """Where a command is run over and over."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"))

    def commits(self) -> int:
        """Commits of all tables together."""
        return sum(1 for _ in (self.folder / "lake").glob("*/*/_delta_log/*.json"))

    def start(self, arguments: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lakeward", *arguments],
            env={**os.environ, "LAKEWARD_HOME": str(self.folder), **self.environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_over_and_over(
        self, arguments: list[str], look: Callable[[AuditReport], object]
    ) -> dict[str, Any]:
        """Kill the command ``KILLS`` times, looking at the lake each time; return what it says.

        Within the kills it must not come to its end: then they would prove less than they say.
        """
        chance = random.Random(SEED)
        for _ in range(KILLS):
            wanted = self.commits() + chance.randint(1, MOST_COMMITS)
            deadline = time.monotonic() + TIMEOUT_S
            with self.start(arguments) as child:
                while child.poll() is None and self.commits() < wanted:
                    assert time.monotonic() < deadline, "it does not get on"
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, LONGEST_PAUSE_S))
                child.kill()
            assert child.returncode == -signal.SIGKILL, "it ended before it was killed"
            report = audit(self.lake)
            assert report.is_clean, report.findings
            look(report)
        with self.start(arguments) as child:
            out, err = child.communicate(timeout=TIMEOUT_S)
        assert child.returncode == 0, err
        done: dict[str, Any] = json.loads(out)
        return done


def test_letters_are_replayed_once_however_often_the_replay_is_killed(tmp_path: Path) -> None:
    home = Home(tmp_path, {"LAKEWARD_CONTRACTS_DIR": str(write_contract(tmp_path / "contracts"))})
    (tmp_path / "mend.yaml").write_text("steps: [{set: {path: $.at, letter: appended_at}}]")
    bench = Bench(home.lake)
    sink = bench.sink()
    incarnations = [Source(TOPIC, f"id-{n:03}", 0) for n in range(8 * KILLS)]
    for source in incarnations:
        bench.take_over(sink, source)
        letters = [without_time(source, offset) for offset in range(LETTERS)]
        sink.write(batch((source, None, letters)))
    total = LETTERS * len(incarnations)

    def each_is_there(report: AuditReport) -> None:
        assert report.messages == total == report.rows + report.dead

    command = ["dead-letters", "replay", "--all", "--mend", "mend.yaml", "--json"]
    last = home.kill_over_and_over(command, each_is_there)
    assert 0 < last["replayed"] < total, "the kills struck in the middle"
    rows = home.lake.open("bronze", "visits").to_pyarrow_table().to_pylist()
    found = Counter((row["_topic_id"], row["_offset"]) for row in rows)
    assert found == Counter((s.topic_id, o) for s in incarnations for o in range(LETTERS))
    told = [(one.source.topic_id, one.offset) for one in happenings(read(home.lake))]
    assert Counter(told) == found, "the history tells each replay once"
    report = audit(home.lake)
    assert report.is_clean, report.findings
    assert (report.rows, report.replayed, report.dead) == (total, total, 0)
    with home.start(command) as again:
        assert json.loads(again.communicate(timeout=TIMEOUT_S)[0])["taken"] == 0


def test_a_tenant_is_erased_with_one_certificate_however_often_that_is_killed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    home = Home(folder, {"LAKEWARD_CONTRACTS_DIR": str(write_contract(folder / "contracts"))})
    settings = IngestSettings(_env_file=None, home=folder)
    # long suspended: the command need not wait for writers
    long_ago = datetime.now(UTC) - timedelta(days=1)
    registry = Registry(Database(f"sqlite:///{default_file(settings)}"), now=lambda: long_ago)
    registry.create("acme", who="anna")
    registry.suspend("acme", who="anna")
    written = Written.on(home.lake)
    written.write(3)
    days = pa.table(
        {"tenant_id": ["acme", "acme", "globex"], "day": ["1", "2", "1"], "n": [1, 2, 3]}
    )
    for number in range(10 * KILLS):
        uri = home.lake.uri("gold", f"fct_{number:03}")
        write_deltalake(uri, days, partition_by=["tenant_id", "day"])
    shutil.copytree(folder / "lake", tmp_path / "undisturbed")
    wanted = counts(erase_tenant(Lake(str(tmp_path / "undisturbed")), "acme", [CONTRACT]))
    before = written.audit()

    def each_is_there(report: AuditReport) -> None:
        assert report.messages == report.rows + report.dead + report.erased == before.messages

    last = home.kill_over_and_over(
        ["tenant", "deprovision", "acme", "--confirm", "acme", "--json"], each_is_there
    )
    assert {one["table"]: one["rows"] for one in last["tables"] if one["rows"]} == wanted
    assert written.is_on_disk(b"acme") == []
    assert [c.erasure_id for c in ErasureLedger(home.lake).certificates()] == [last["erasure_id"]]
    entries = open_registry(settings).log("acme")
    assert [entry.action for entry in entries] == ["create", "suspend", "deprovision"]
    report = audit(home.lake)
    assert report.is_clean, report.findings
    assert report.erased == sum(n for table, n in wanted.items() if table.startswith("bronze."))
