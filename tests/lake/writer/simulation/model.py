"""A model of the writer under fire: random schedules, and what must hold after each step.

A schedule is a list of steps: messages are appended, writers start, poll, flush, commit, lose
partitions, wake up as zombies, die before and after every single write; the topic is made again,
expires, is compacted; the tables are compacted, vacuumed, checkpointed; contracts and tenants
change, also under a writer that runs. At the end a fresh writer takes over.

After each step every offset is in bronze or in the dead letters at most once, with the content
that Kafka had there. At the end every message that Kafka still has is in the tables exactly once,
one that it has no more is either there once or accounted for in the journal, and ``lake.audit``
comes to the same result from the lake alone.
"""

from __future__ import annotations

import atexit
import itertools
import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from deltalake.exceptions import DeltaError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingest.contracts.model import Contract
from ingest.errors import LakewardError
from ingest.settings import IngestSettings
from lake.audit import audit
from lake.errors import OffsetGapError
from lake.journal import Journal, accepted_gaps
from lake.maintenance.run import Options, Step, maintain
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.source import Source
from tests.lake.writer.bench import CONTRACT, STRICTER, WIDER
from tests.lake.writer.simulation.faults import FAULTS, FaultKind, Faults
from tests.lake.writer.simulation.handles import Handles
from tests.lake.writer.simulation.kafka import Key, Partition, SimulatedKafka
from tests.lake.writer.simulation.tables import Account, Place
from tests.lake.writer.simulation.writer import (
    Calendar,
    PatienceUntilBack,
    SimulatedWriter,
    simulation,
)

MOST_WRITERS = 3
PARTITIONS = 2
VersionName = Literal["first", "wider", "stricter"]
VERSIONS: dict[VersionName, Contract] = {"first": CONTRACT, "wider": WIDER, "stricter": STRICTER}
"""Under the stricter one a message without a channel is a dead letter."""
KNOWN: frozenset[str] = frozenset({"acme"})
STRANGE: frozenset[str] = frozenset({"another"})
"""Tenants; every message is of ``acme``, so under the second set each is a dead letter."""
SECOND = "orders"
"""The name of a second contract, whose sink shares the dead letters."""

MessageKind = Literal[
    "good", "with_channel", "rescued", "broken", "tombstone", "marker", "not_an_object"
]
MESSAGES: tuple[MessageKind, ...] = (
    "good",
    "good",
    "with_channel",
    "rescued",
    "broken",
    "broken",
    "tombstone",
    "marker",
    "not_an_object",
)
some_messages = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=4)
maybe_fault = st.sampled_from([None] * (len(FAULTS) // 2) + list(FAULTS))


def contracts_of(version: VersionName, *, is_double: bool) -> list[Contract]:
    """The contracts that a writer of this version reads."""
    one = VERSIONS[version]
    return [one, replace(one, name=SECOND, topic=SECOND)] if is_double else [one]


LAKE = LakeSettings(_env_file=None, writer_name="w")
INGEST = IngestSettings(_env_file=None, bootstrap_servers="simulated:9092")


def settings_of(folder: Path) -> LakeSettings:
    return LAKE.model_copy(update={"home": folder})


def ingest_of(folder: Path) -> IngestSettings:
    return INGEST.model_copy(update={"home": folder})


@cache
def _template(is_double: bool) -> Path:
    """A lake as a writer leaves it that was given every partition, and no message yet."""
    folder = Path(tempfile.mkdtemp(prefix="lakeward-model-", dir=scratch()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = settings_of(folder)
    contracts = contracts_of("first", is_double=is_double)
    kafka = SimulatedKafka([contract.topic for contract in contracts], PARTITIONS)
    lake = Lake(settings.root)
    writer = SimulatedWriter(
        kafka, lake, settings, ingest_of(folder), contracts, Calendar(), accept_gap=False
    )
    writer.rebalance(kafka.list_keys(), lost=False, stalled=False)
    assert writer.is_alive, writer.ended
    return folder


def scratch() -> str | None:
    """Memory where there is some, for the tables of a schedule; else the usual folder."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


class WriterModel(RuleBasedStateMachine):
    """See the module."""

    begun = 0
    """Schedules of this process, those that were tried and dropped included."""

    def __init__(self) -> None:
        super().__init__()
        WriterModel.begun += 1
        self.patches = ExitStack()
        self.faults = Faults()
        self.handles = Handles()
        self.patches.enter_context(simulation(self.faults, self.handles))
        self.folder = Path(tempfile.mkdtemp(prefix="lakeward-model-", dir=scratch()))
        self.writers: list[SimulatedWriter] = []
        self.ended: list[SimulatedWriter] = []
        self.now = Calendar()
        self.serial = itertools.count()
        self.has_lost_offsets = False
        """True once Kafka forgot something: from then on a writer may rightly refuse."""

    # -- what there is

    @initialize(
        is_double=st.sampled_from([False, False, False, True]),
        is_new=st.sampled_from([False, False, False, True]),
        is_lending=st.sampled_from([True] * 7 + [False]),
        is_patient=st.booleans(),
        kinds=some_messages,
    )
    def begin(
        self,
        is_double: bool,
        is_new: bool,
        is_lending: bool,
        is_patient: bool,
        kinds: list[MessageKind],
    ) -> None:
        """Half of the schedules have writers that wait for a lake which is away."""
        self.is_double = is_double
        self.is_patient = is_patient
        self.faults.maintain = lambda: self._maintain("compact", "fold", "checkpoint")
        self.handles.is_lending = is_lending
        self.settings = settings_of(self.folder)
        self.ingest = ingest_of(self.folder)
        names = [CONTRACT.name, SECOND] if is_double else [CONTRACT.name]
        self.kafka = SimulatedKafka(names, PARTITIONS)
        self.lake = Lake(self.settings.root)
        if not is_new:
            shutil.copytree(_template(is_double) / "lake", self.folder / "lake")
        self.account = Account(self.lake, (*names, DEAD_LETTERS))
        for key in self.kafka.list_keys():
            self._append(self.kafka.partition(key), kinds)
        self.start("first", False, 0, None, 0)

    def key(self, number: int) -> Key:
        keys = self.kafka.list_keys()
        return keys[number % len(keys)]

    # -- Kafka

    def _append(self, partition: Partition, kinds: list[MessageKind]) -> None:
        for kind in kinds:
            if kind == "marker":
                partition.skip()
            else:
                partition.append(self._payload(kind))

    def _payload(self, kind: MessageKind) -> bytes | None:
        name = f"e{next(self.serial)}"
        if kind == "tombstone":
            return None
        if kind == "broken":
            return b"{" + name.encode()
        if kind == "not_an_object":
            return json.dumps([name]).encode()
        document = {"event_id": name, "tenant_id": "acme", "at": "2026-01-01T00:00:00Z"}
        if kind == "with_channel":
            document["channel"] = "web"
        if kind == "rescued":
            document |= {"amount": "much", "colour": "red"}
        return json.dumps(document).encode()

    @rule(
        number=st.integers(0, 3),
        what=st.sampled_from(
            ["expire", "expire", "compact", "recreate", "late_commit", "clock", "silence"]
        ),
        share=st.integers(1, 4),
        kinds=some_messages,
    )
    def weather(self, number: int, what: str, share: int, kinds: list[MessageKind]) -> None:
        """Something changes that no writer has done; then more messages come."""
        key = self.key(number)
        partition = self.kafka.partition(key)
        if what == "expire" and partition.end > partition.low:
            partition.expire(partition.low + -(-(partition.end - partition.low) * share // 4))
            self.has_lost_offsets = True
        elif what == "compact":
            partition.compact()
        elif what == "recreate":
            self.kafka.recreate(key[0])
            self.has_lost_offsets = True
        elif what == "silence":
            self.kafka.is_silent = not self.kafka.is_silent
        elif what == "late_commit":
            self.faults.deliver()
        elif what == "clock":
            self.now.time += timedelta(hours=(-30, -1, 1, 30)[share - 1])
        self._append(self.kafka.partition(key), kinds)

    # -- writers

    @precondition(lambda self: len(self.writers) < MOST_WRITERS)
    @rule(
        version=st.sampled_from(["first", "first", "first", "wider", "stricter"]),
        accept_gap=st.booleans(),
        mask=st.integers(0, 15),
        fault=maybe_fault,
        skip=st.integers(0, 3),
    )
    def start(
        self,
        version: VersionName,
        accept_gap: bool,
        mask: int,
        fault: FaultKind | None,
        skip: int,
    ) -> None:
        with _FaultFor(self, fault, skip):
            try:
                writer = self._writer(version, accept_gap=accept_gap)
            except (OSError, DeltaError, LakewardError):
                assert self.faults.struck, "a writer could not start, and nothing was wrong"
                return
            self.writers.append(writer)
            self._assign(writer, 15 if mask < 8 else mask, lost=False, stalled=False)

    def _writer(self, version: VersionName, **options: Any) -> SimulatedWriter:
        return SimulatedWriter(
            self.kafka,
            self.lake,
            self.settings,
            self.ingest,
            contracts_of(version, is_double=self.is_double),
            self.now,
            patience=self._patience() if self.is_patient and not options.get("is_drain") else None,
            **options,
        )

    def _patience(self) -> PatienceUntilBack:
        return PatienceUntilBack(self.faults.disarm)

    def _assign(self, writer: SimulatedWriter, mask: int, *, lost: bool, stalled: bool) -> None:
        keys = [key for n, key in enumerate(self.kafka.list_keys()) if mask >> n & 1]
        writer.rebalance(keys, lost=lost, stalled=stalled)

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        number=st.integers(0, 3),
        kinds=some_messages,
        messages=st.sampled_from([1, 2, 3, 9, 9]),
        then=st.sampled_from(["buffer", "flush", "commit", "commit"]),
        fault=maybe_fault,
        skip=st.integers(0, 1),
    )
    def work(
        self,
        who: int,
        number: int,
        kinds: list[MessageKind],
        messages: int,
        then: Literal["buffer", "flush", "commit"],
        fault: FaultKind | None,
        skip: int,
    ) -> None:
        """Messages arrive; one writer polls, and buffers, flushes or commits them."""
        self._append(self.kafka.partition(self.key(number)), kinds)
        writer = self.writers[who % len(self.writers)]
        with _FaultFor(self, fault, skip, but=writer):
            self._work(writer, messages, then)

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        number=st.integers(0, 3),
        kinds=some_messages,
        fault=st.sampled_from(FAULTS),
        skip=st.integers(0, 1),
    )
    def work_under_fire(
        self, who: int, number: int, kinds: list[MessageKind], fault: FaultKind, skip: int
    ) -> None:
        """Messages arrive, one writer commits all it can get, and something goes wrong."""
        self._append(self.kafka.partition(self.key(number)), ["broken", *kinds])
        writer = self.writers[who % len(self.writers)]
        with _FaultFor(self, fault, skip, but=writer):
            self._work(writer, 99, "commit")

    def _work(self, writer: SimulatedWriter, messages: int, then: str) -> None:
        writer.turn(messages, flush=then != "buffer")
        if then == "commit" and writer.is_alive:
            writer.commit()

    @precondition(lambda self: any(w.committer.waiting for w in self.writers))
    @rule(who=st.integers(0, MOST_WRITERS - 1), fault=maybe_fault, skip=st.integers(0, 1))
    def commit(self, who: int, fault: FaultKind | None, skip: int) -> None:
        """A writer that may have been asleep since it flushed commits what it had."""
        waiting = [writer for writer in self.writers if writer.committer.waiting]
        writer = waiting[who % len(waiting)]
        with _FaultFor(self, fault, skip, but=writer):
            writer.commit()

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        mask=st.integers(0, 15),
        how=st.sampled_from(["revoked", "revoked_while_stalled", "lost"]),
        fault=maybe_fault,
        skip=st.integers(0, 3),
    )
    def rebalance(self, who: int, mask: int, how: str, fault: FaultKind | None, skip: int) -> None:
        """One member gets other partitions; whoever had them before may not have heard of it."""
        writer = self.writers[who % len(self.writers)]
        with _FaultFor(self, fault, skip, but=writer):
            self._assign(writer, mask, lost=how == "lost", stalled=how == "revoked_while_stalled")

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        is_killed=st.booleans(),
        version=st.sampled_from(["first", "wider", "stricter"]),
    )
    def replace(self, who: int, is_killed: bool, version: VersionName) -> None:
        """A writer ends, by a signal or by force, and another begins, maybe of another version."""
        writer = self.writers.pop(who % len(self.writers))
        if not is_killed:
            writer.stop()
            self._check_end(writer)
        self.start(version, False, 0, None, 0)

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        number=st.integers(0, 3),
        kinds=some_messages,
        mask=st.integers(0, 15),
        fault=maybe_fault,
        skip=st.integers(0, 2),
    )
    def lose_with_a_full_buffer(
        self,
        who: int,
        number: int,
        kinds: list[MessageKind],
        mask: int,
        fault: FaultKind | None,
        skip: int,
    ) -> None:
        """A member was out for too long with a buffer full; it gets partitions back, or others."""
        self._append(self.kafka.partition(self.key(number)), kinds)
        writer = self.writers[who % len(self.writers)]
        writer.turn(99, flush=False)
        with _FaultFor(self, fault, skip, but=writer):
            if writer.is_alive:
                self._assign(writer, mask, lost=True, stalled=False)
            if writer.is_alive:
                self._work(writer, 99, "commit")

    @precondition(lambda self: 0 < len(self.writers) < MOST_WRITERS)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        number=st.integers(0, 3),
        kinds=some_messages,
        version=st.sampled_from(["wider", "stricter", "stricter", "first"]),
        sleeping=st.sampled_from([None, None, "first", "stricter"]),
        is_rolled_back=st.booleans(),
        fault=maybe_fault,
        skip=st.integers(0, 3),
    )
    def upgrade_beside_a_sleeper(
        self,
        who: int,
        number: int,
        kinds: list[MessageKind],
        version: VersionName,
        sleeping: VersionName | None,
        is_rolled_back: bool,
        fault: FaultKind | None,
        skip: int,
    ) -> None:
        """A writer falls asleep before its commit, another version takes over, and both go on.

        The sleeper is one of those that there are, or a new one. Rolled back, another writer of the
        sleeper's version takes over before it wakes up.
        """
        self._append(self.kafka.partition(self.key(number)), [*kinds, "good"])
        if sleeping is not None:
            self.start(sleeping, False, 0, None, 0)
        if not self.writers:
            return
        sleeper = self.writers[-1 if sleeping is not None else who % len(self.writers)]
        sleeper.turn(99, flush=True)
        self.start(version, False, 0, None, 0)
        newer = self.writers[-1] if self.writers else sleeper
        with _FaultFor(self, fault, skip, but=newer):
            if newer.is_alive:
                self._work(newer, 99, "commit")
        if is_rolled_back:
            (same,) = (name for name, one in VERSIONS.items() if one.version == sleeper.name)
            self.start(same, False, 0, None, 0)
        if sleeper.is_alive:
            sleeper.commit()
        self._bury()

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        number=st.integers(0, 3),
        kinds=some_messages,
        version=st.sampled_from(["first", "wider", "stricter", "stricter"]),
        tenants=st.sampled_from([None, None, KNOWN, STRANGE]),
        before=st.sampled_from(["nothing", "buffer", "buffer", "flush"]),
        then=st.sampled_from(["buffer", "flush", "commit", "commit"]),
        fault=maybe_fault,
        skip=st.integers(0, 3),
    )
    def change_the_rules_of_a_running_writer(
        self,
        who: int,
        number: int,
        kinds: list[MessageKind],
        version: VersionName,
        tenants: frozenset[str] | None,
        before: Literal["nothing", "buffer", "flush"],
        then: Literal["buffer", "flush", "commit"],
        fault: FaultKind | None,
        skip: int,
    ) -> None:
        """A writer hears of another contract, or of other tenants, maybe with a buffer full."""
        self._append(self.kafka.partition(self.key(number)), [*kinds, "good"])
        writer = self.writers[who % len(self.writers)]
        if before != "nothing":
            writer.turn(99, flush=before == "flush")
        writer.hear(contracts_of(version, is_double=self.is_double), tenants)
        with _FaultFor(self, fault, skip, but=writer):
            if writer.is_alive:
                self._work(writer, 9, then)

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        first=st.integers(0, 3),
        second=st.integers(0, 3),
        kinds=some_messages,
        more=some_messages,
        fault=maybe_fault,
        skip=st.integers(0, 1),
    )
    def sleep_over_two_batches(
        self,
        who: int,
        first: int,
        second: int,
        kinds: list[MessageKind],
        more: list[MessageKind],
        fault: FaultKind | None,
        skip: int,
    ) -> None:
        """A writer falls asleep with a batch, the others go on; it wakes up and takes a second."""
        sleeper = self.writers[who % len(self.writers)]
        sleeper.turn(99, flush=False)
        self._append(self.kafka.partition(self.key(first)), kinds)
        if sleeper.is_alive:
            sleeper.turn(99, flush=True)
        self._append(self.kafka.partition(self.key(second)), [*more, "broken"])
        self._beside(sleeper)
        with _FaultFor(self, fault, skip, but=sleeper):
            if sleeper.is_alive:
                self._work(sleeper, 99, "commit")

    @precondition(lambda self: self.writers)
    @rule(
        who=st.integers(0, MOST_WRITERS - 1),
        number=st.integers(0, 3),
        kinds=some_messages,
        is_flushed=st.booleans(),
    )
    def recreate_under_a_reader(
        self, who: int, number: int, kinds: list[MessageKind], is_flushed: bool
    ) -> None:
        """A topic is made again and grows past the old one's end, and a reader goes on reading."""
        writer = self.writers[who % len(self.writers)]
        writer.turn(99, flush=is_flushed)
        key = self.key(number)
        old = self.kafka.partition(key)
        self.kafka.recreate(key[0])
        self.has_lost_offsets = True
        self._append(self.kafka.partition(key), ["good"] * old.end)
        self._append(self.kafka.partition(key), kinds)
        if writer.is_alive:
            self._work(writer, 99, "commit")
        self._bury()

    def _beside(self, but: SimulatedWriter | None) -> None:
        """Happens between one writer's check and its commit: the others do all they have to do."""
        for writer in [w for w in self.writers if w is not but and w.is_alive]:
            self._work(writer, 9, "commit")

    def _bury(self) -> None:
        for writer in [w for w in self.writers if not w.is_alive]:
            self.writers.remove(writer)
            self._check_end(writer)

    def _check_end(self, writer: SimulatedWriter) -> None:
        """A writer ends for a reason only."""
        why = writer.ended
        if isinstance(why, OffsetGapError):
            assert self.has_lost_offsets, f"refused, and nothing was lost: {why}"
        elif isinstance(why, Exception):
            # the second thread may have met it steps ago
            assert self.faults.struck or self.kafka.is_silent, repr(why)

    # -- the tables

    @rule(
        what=st.sampled_from(["compact", "checkpoint", "vacuum", "everything", "maintain"]),
        is_dead=st.booleans(),
    )
    def upkeep(self, what: str, is_dead: bool) -> None:
        """By delta-rs itself, or by ``lakeward maintain`` with nothing kept longer than needed."""
        if what == "maintain":
            self._maintain("compact", "fold", "checkpoint")
            self.account.catch_up()
            if not self.faults.in_flight:
                self._maintain("vacuum", "clean")
                self.handles.forget_all()
            return
        name = DEAD_LETTERS if is_dead else CONTRACT.name
        if not self.lake.exists("bronze", name):
            return
        table = self.lake.open("bronze", name)
        if what in ("compact", "everything"):
            table.optimize.compact()
        if what in ("vacuum", "everything") and not self.faults.in_flight:
            # files of a commit in flight are younger than any retention in use
            table.vacuum(0, dry_run=False, enforce_retention_duration=False)
        if what in ("checkpoint", "everything"):
            table.create_checkpoint()

    def _maintain(self, *steps: Step) -> None:
        """One round; the wall clock of a schedule has nothing to do with the age of files."""
        options = Options(
            target_size=2**20,
            retention=timedelta(0),
            log_retention=timedelta(0),
            steps=frozenset(steps),
        )
        for done in maintain(self.lake, options):
            assert done.error is None, f"maintenance of {done.label}: {done.error}"

    # -- what must hold

    @invariant()
    def each_offset_is_there_at_most_once(self) -> None:
        for place in self.account.catch_up():
            where = self.account.rows[place], self.account.dead[place]
            assert sum(where) == 1, f"{place} is {where[0]} times in bronze, {where[1]} in dead"
            self._check_content(place)

    def _check_content(self, place: Place) -> None:
        topic, topic_id, number, offset = place
        (partition,) = (
            p
            for p in self.kafka.everything()
            if (p.topic, p.topic_id, p.number) == (topic, topic_id.partition("#")[0], number)
        )
        assert offset in partition.ever, f"{place} never carried a message"
        payload = partition.ever[offset]
        if place in self.account.dead:
            assert self.account.content[place] == payload, place
        else:
            assert payload is not None
            assert self.account.content[place] == json.loads(payload)["event_id"], place

    def teardown(self) -> None:
        try:
            if hasattr(self, "lake"):
                self._recover()
        finally:
            self.patches.close()
            shutil.rmtree(self.folder)

    def _recover(self) -> None:
        """A fresh writer takes over; then whoever slept wakes up; then the accounts are closed."""
        self.kafka.is_silent = False
        self._drain()
        self.each_offset_is_there_at_most_once()
        before = dict(self.account.versions)
        self.faults.deliver()
        for writer in self.writers:
            if writer.committer.waiting or writer.loop._buffers:
                writer.turn(9, flush=True)
                writer.stop()
        self.each_offset_is_there_at_most_once()
        if self.has_lost_offsets or before != self.account.versions:
            # what was accepted once is not asked about again
            self._writer("first", accept_gap=False, is_drain=True).drain()
            self.each_offset_is_there_at_most_once()
        self._check_complete()

    def _drain(self) -> None:
        try:
            self._writer("first", accept_gap=False, is_drain=True).drain()
        except OffsetGapError as refusal:
            if not self.has_lost_offsets:
                raise AssertionError("refused, and nothing was lost") from refusal
            self._writer("first", accept_gap=True, is_drain=True).drain()

    def _check_complete(self) -> None:
        settled = self.account.settled()
        entries = Journal(self.lake, "w").entries()
        held: dict[tuple[str, str, int], set[int]] = {}
        for topic, topic_id, number, offset in settled:
            held.setdefault((topic, topic_id, number), set()).add(offset)
        present = {id(self.kafka.partition(key)) for key in self.kafka.list_keys()}
        for partition in self.kafka.everything():
            source = Source(partition.topic, partition.topic_id, partition.number)
            begun = [
                e.first_offset
                for e in entries
                if e.source == source and e.kind != "gap_accepted" and e.first_offset is not None
            ]
            accepted = {o for a, b in accepted_gaps(entries, source) for o in range(a, b + 1)}
            found = held.get((partition.topic, partition.topic_id, partition.number), set())
            missing = set(partition.ever) - found
            if id(partition) in present:
                assert begun, f"{source} was never begun"
                lost = missing & set(partition.records)
                assert not lost, f"{source}: Kafka has {sorted(lost)}, and no table does"
                # what is in neither expired before reading began, was accepted, or compacted away
                gone = {o for o in missing if min(begun) <= o < partition.low} - accepted
                assert gone <= partition.compacted, f"{source}: {sorted(gone)} went unnoticed"
            assert max(accepted, default=-1) < partition.low, f"{source}: accepted what is there"
        report = audit(self.lake)
        assert report.is_clean, report.findings
        assert report.rows == self.account.rows.total()
        ahead = sum(p.ahead for p in report.partitions)
        assert report.dead + ahead == self.account.dead.total()
        assert not any(p.ahead for p in report.partitions if p.is_current)
        told = {part.source: part.accepted_gap for part in report.partitions}
        for source in {entry.source for entry in entries}:
            gaps = accepted_gaps(entries, source)
            if source in told:  # the audit knows a topic once something was written from it
                assert told[source] == len({o for a, b in gaps for o in range(a, b + 1)}), gaps


class _FaultFor:
    """Arms a fault for one step, and looks after who died of it."""

    def __init__(
        self,
        model: WriterModel,
        kind: FaultKind | None,
        skip: int,
        but: SimulatedWriter | None = None,
    ) -> None:
        self._model, self._kind, self._skip, self._but = model, kind, skip, but

    def __enter__(self) -> None:
        model = self._model
        model.faults.arm(self._kind, self._skip, lambda: model._beside(self._but))

    def __exit__(self, *_: object) -> None:
        self._model.faults.disarm()
        self._model._bury()
