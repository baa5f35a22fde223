"""A drain beside writers that are at work already: let them do it, and watch the tables."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lake.journal import Journal, incarnations
from lake.writer.broker_view import BrokerView
from lake.writer.sinks import Sinks
from lake.writer.source import Source
from lake.writer.start import TopicPartitionKey

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.25
PATIENCE_SECONDS: Final = 10.0


def left_to_others(
    others: Callable[[], bool],
    ends_of: Callable[[Iterable[TopicPartitionKey]], Mapping[TopicPartitionKey, int]],
    view: BrokerView,
    sinks: Sinks,
    journal: Journal,
    stop: threading.Event,
    *,
    patience: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Wait while other writers bring the tables up to what Kafka has now.

    ``others`` tells whether there is one, and ``ends_of`` where partitions end now. Returns True
    once the tables hold it all. False when there is no other writer, or none that gets on with it
    for ``patience`` seconds: then the caller reads the topics itself, which is safe beside a
    writer that wakes up late, only not quick.
    """
    if not others():
        return False
    keys = view.partitions(sinks.topics)
    offered = view.offered(keys)
    ends = ends_of(keys)
    wanted = {key: end for key, end in ends.items() if end > offered[key].low}
    logger.info("waiting_for_other_writers", extra={"partitions": len(wanted)})
    progressed = clock()
    behind: Mapping[TopicPartitionKey, int] = {}
    while not stop.is_set():
        known = incarnations(journal.entries())
        sources: dict[TopicPartitionKey, Source] = {k: known[k] for k in wanted if k in known}
        held = sinks.look(sources.values())
        now_behind = {
            key: end - _following(held.get(sources[key]) if key in sources else None)
            for key, end in wanted.items()
        }
        now_behind = {key: count for key, count in now_behind.items() if count > 0}
        if not now_behind:
            return True
        if now_behind != behind:
            progressed, behind = clock(), now_behind
        if clock() - progressed > patience or not others():
            logger.info("others_do_not_get_on", extra={"partitions": len(now_behind)})
            return False
        stop.wait(LOOK_SECONDS)
    return False


def _following(held: int | None) -> int:
    return 0 if held is None else held + 1
