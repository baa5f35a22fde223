"""A run of the generator: messages into Kafka, each one written down in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ingest.contracts.model import Contract
from ingest.errors import GeneratorError
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.ledger import Ledger, Recorder
from ingest.generator.message import Message
from ingest.generator.simulation import SHARES
from ingest.publisher import Publisher

_REPORT_EVERY: Final = 2_000


def generate_events(plan: Backfill) -> Iterator[tuple[str, bytes, bytes, int]]:
    """Yield (contract name, key, value, timestamp in ms since 1970 UTC), in order of the latter.

    The same plan gives the same bytes. Nothing is sent anywhere and no ledger is kept.
    """
    for message in backfill_messages(plan):
        yield message.contract, message.key, message.value, message.timestamp_ms


def choose_contracts(
    known: Iterable[Contract], names: Sequence[str] | None
) -> tuple[Contract, ...]:
    """Return the contracts to make events of: the named ones, or all that can be made.

    Raises:
        GeneratorError: a name that the generator makes nothing for.
    """
    makeable = {c.name: c for c in known if c.name in SHARES}
    for name in names or ():
        if name not in makeable:
            raise GeneratorError(
                f"the generator makes no events of `{name}`",
                hint=f"it makes {', '.join(makeable)}",
            )
    return tuple(c for name, c in makeable.items() if names is None or name in names)


def run(
    messages: Iterable[Message | None],
    publisher: Publisher,
    recorder: Recorder,
    on_progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    *,
    open_ended: bool = False,
) -> Ledger:
    """Send messages, keep the ledger, and return it once every message is acknowledged.

    Args:
        messages: what to send; None among them means that nothing is due for a moment.
        publisher: where to; it is closed at the end.
        recorder: keeps the ledger, which is written whatever happens.
        on_progress: told the number of messages sent, now and then.
        stop: asked now and then; True ends the run early, between two messages, so that the
            ledger is exact.
        open_ended: stopping is how this run is meant to end.

    Raises:
        DeliveryError: the broker did not take a message.
    """
    sent = 0
    exhausted = complete = False
    try:
        with publisher:
            for message in messages:
                if message is None:
                    publisher.poll()
                    on_progress(sent)
                    if stop():
                        break
                    continue
                publisher.send(message.contract, message.key, message.value, message.timestamp_ms)
                recorder.record(message)
                sent += 1
                if sent % _REPORT_EVERY == 0:
                    on_progress(sent)
                    if stop():
                        break
            else:
                exhausted = True
        complete = exhausted or open_ended
    finally:
        ledger = recorder.close(publisher.acknowledged, complete=complete)
    on_progress(sent)
    return ledger
