"""A writer process without a process: the real loop, sinks and tables on a simulated Kafka.

Real are ``WriterLoop`` with its buffers and cursors, ``Sinks``, ``TransactionalTable``,
``StartingPoints``, the journal, and the Delta tables on disk. Simulated are the consumer, the admin
client, the clock and the second thread, so that a schedule decides when each of them acts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import pyarrow as pa
from deltalake.exceptions import DeltaError

import lake.journal
import lake.maintenance.compaction
import lake.maintenance.log_cleanup
import lake.writer.buffer
import lake.writer.commit
import lake.writer.live_rules
import lake.writer.loop
import lake.writer.sinks
from ingest.contracts.model import Contract
from ingest.errors import LakewardError
from ingest.settings import IngestSettings
from lake.journal import Journal
from lake.maintenance.groups import groups
from lake.settings import LakeSettings
from lake.tables import Lake
from lake.writer.batch import Batch
from lake.writer.bulk import BulkRows
from lake.writer.decode import Decoder
from lake.writer.live_rules import LiveRules
from lake.writer.loop import WriterLoop
from lake.writer.messages import Decoded, Messages
from lake.writer.patience import Patience
from lake.writer.rules import Rules
from lake.writer.sink import Flushed
from lake.writer.sinks import Sinks
from lake.writer.start import StartingPoints
from lake.writer.target import Target
from tests.lake.writer.simulation.faults import Crash, Faults
from tests.lake.writer.simulation.handles import Handles, lending
from tests.lake.writer.simulation.kafka import Key, SimulatedConsumer, SimulatedKafka, SimulatedView

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class StillAskingError(Exception):
    """The second thread waits until the broker answers."""


class Stop(threading.Event):
    """Never set; whoever waits for it lets the schedule go on meanwhile."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        raise StillAskingError


class PatienceUntilBack(Patience):
    """Never waits: the store is back as soon as somebody would."""

    def __init__(self, store_returns: Callable[[], None]) -> None:
        super().__init__(threading.Event())
        self._store_returns = store_returns

    def pause(self, _: float) -> None:
        self._store_returns()


class ManualCommitter:
    """Stands in for ``Committer``: batches are written when the schedule says so."""

    def __init__(self, write: Callable[[Batch], Flushed]) -> None:
        self._write = write
        self._queue: deque[Batch] = deque()
        self._results: list[Flushed] = []
        self.failure: BaseException | None = None
        self.is_stalled = False
        """True: the store is slow, and the next wait for it ends without an answer."""

    @property
    def waiting_bytes(self) -> int:
        return sum(batch.size for batch in self._queue)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def submit(self, batch: Batch) -> None:
        self._queue.append(batch)

    def results(self) -> list[Flushed]:
        found, self._results = self._results, []
        return found

    def wait(self, _: int, __: float) -> bool:
        if self.is_stalled:
            self.is_stalled = False
            return not self._queue
        while self._queue and self.step():
            pass
        return not self._queue

    def step(self) -> bool:
        """Write the oldest batch; False when the thread is held up over it."""
        batch = self._queue[0]
        if self.failure is None:
            try:
                self._results.append(self._write(batch))
            except StillAskingError:
                return False
            except Exception as error:  # noqa: BLE001 - as the real one does
                self.failure = error
        self._queue.popleft()
        return True

    def close(self) -> None:
        while self._queue and self.step():
            pass
        self._queue.clear()


class DecodingAtOnce:
    """Stands in for ``Decoding``: messages are decoded at once, so by the rules of that moment."""

    def __init__(self, decode: Callable[[Messages], Decoded]) -> None:
        self._decode = decode

    def begin(self, messages: Messages) -> Callable[[], Decoded]:
        decoded = self._decode(messages)
        return lambda: decoded

    def close(self) -> None:
        """Nothing to end."""


class ExactOnly(Decoder):
    """Decodes message by message; that both ways agree is shown elsewhere."""

    def _decode_in_bulk(self, payloads: pa.Array) -> BulkRows:
        return BulkRows.none_sure(self._bulk.schema, len(payloads))


@cache
def _decoder_of(contract: Contract, tenants: frozenset[str] | None) -> Decoder:
    return ExactOnly(contract, tenants)


class Calendar:
    """The wall clock, which somebody may set."""

    def __init__(self) -> None:
        self.time = BEGIN

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time


class SimulatedWriter:
    """One process."""

    def __init__(
        self,
        kafka: SimulatedKafka,
        lake_: Lake,
        settings: LakeSettings,
        ingest: IngestSettings,
        contracts: Sequence[Contract],
        now: Calendar,
        *,
        accept_gap: bool,
        is_drain: bool = False,
        patience: Patience | None = None,
    ) -> None:
        """Do what ``lake.writer.service.run`` does up to the loop's start."""
        self.name = f"{contracts[0].version}"
        self.ended: BaseException | None = None
        self._seconds = 0.0
        self._pace = 0.0
        self._patience = patience
        self.consumer = SimulatedConsumer(kafka)
        with (
            patch.object(lake.writer.loop, "Consumer", lambda *_, **__: self.consumer),
            patch.object(lake.writer.loop, "Committer", ManualCommitter),
            patch.object(lake.writer.loop, "Decoding", DecodingAtOnce),
        ):
            self._contracts = list(contracts)
            self._tenants: frozenset[str] | None = None
            rules = [Rules(contract, None) for contract in contracts]
            self._live = LiveRules(rules, lambda: self._contracts, lambda: self._tenants)
            sinks = Sinks(lake_, settings, rules, force=True, patience=patience, now=now)
            view: Any = SimulatedView(kafka)
            journal = Journal(lake_, settings.writer_name, now=now)
            points = StartingPoints(
                journal, sinks.take_over, sinks.look, view.true_ends, accept_gap=accept_gap
            )
            self.loop = WriterLoop(
                ingest,
                settings,
                sinks,
                view,
                points,
                is_static=is_drain,
                is_embedded=False,
                until_current=is_drain,
                stop=Stop(),
                patience=patience,
                rules=None if is_drain else self._live,
                clock=self._clock,
            )
        self.committer: ManualCommitter = self.loop._committer  # type: ignore[assignment]
        if not is_drain:
            self.loop._join()

    def _clock(self) -> float:
        self._seconds += self._pace
        return self._seconds

    @property
    def is_alive(self) -> bool:
        return self.ended is None

    def drain(self) -> None:
        """Run until everything in Kafka is in the tables, as ``write --until-current`` does."""
        self.loop.run()

    def hear(self, contracts: Sequence[Contract], tenants: frozenset[str] | None) -> None:
        """Somebody changes contracts or tenants, and the thread that asks for them hears of it."""
        self._contracts, self._tenants = list(contracts), tenants
        self.name = f"{contracts[0].version}"
        self._live.ask()

    def turn(self, messages: int, *, flush: bool) -> None:
        """Poll once, and flush if so told; what is flushed waits to be committed."""
        self.consumer.count = messages
        self._pace = 2.0 if flush else 0.0  # seconds from one look at the clock to the next
        self._guard(self.loop._turn)

    def commit(self) -> None:
        """Let the second thread write what waits, as far as it can."""
        self._guard(lambda: self.committer.wait(0, 0))

    def rebalance(self, keys: Iterable[Key], *, lost: bool, stalled: bool) -> None:
        """Take away what it has and give it these."""
        self.consumer.rebalance(keys, lost=lost)

        def poll() -> None:
            self.committer.is_stalled = stalled
            self.consumer.count = 0
            try:
                self.loop._turn()
            finally:
                self.committer.is_stalled = False

        self._guard(poll)

    def stop(self) -> None:
        """End it as SIGTERM does: what is buffered is finished."""

        def finish() -> None:
            self.loop._finish()
            self.committer.close()

        if self.is_alive:
            self._guard(finish)
            self.ended = self.ended or KeyboardInterrupt()

    def _guard(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Crash as crash:
            self.ended = crash
        except (LakewardError, OSError, DeltaError) as error:
            self.ended = error
            if self._patience is not None:
                self._patience.end()
            try:
                self.committer.close()  # as the real loop does on its way out
            except Crash as crash:
                self.ended = crash


@contextmanager
def simulation(faults: Faults, handles: Handles) -> Iterator[None]:
    """Put the simulation's parts where the writer's modules look for them."""
    open_target = Target.open

    def opening(self: Target) -> Any:
        faults.before_opening()
        return open_target(self)

    with ExitStack() as patches:
        patches.enter_context(lending(handles))
        for module in (lake.writer.commit, lake.journal):
            patches.enter_context(patch.object(module, "write_deltalake", faults.write))
        patches.enter_context(patch.object(lake.writer.sinks, "Decoder", _decoder_of))
        patches.enter_context(patch.object(lake.writer.commit, "BACKOFF_SECONDS", (0.0,) * 4))
        # a schedule has few commits: let a handle's renewal fall among them
        patches.enter_context(patch.object(lake.writer.commit, "CHECKPOINT_EVERY", 3))
        # a few messages are worth being decoded before their flush
        patches.enter_context(patch.object(lake.writer.buffer, "DECODED_TOGETHER", 2))
        # a stricter contract would be refused, and it is what shows whose rules were used
        patches.enter_context(patch.object(lake.writer.live_rules, "compare", lambda *_: []))
        patches.enter_context(patch.object(Target, "open", opening))
        # the tables of a schedule are tiny: maintenance shall find them worth its while
        patches.enter_context(
            patch.object(lake.maintenance.compaction, "groups", partial(groups, fewest=2))
        )
        patches.enter_context(patch.object(lake.maintenance.log_cleanup, "CHECKPOINT_EVERY", 2))
        yield
