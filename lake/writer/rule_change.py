"""Putting rules in force between two batches."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from ingest.errors import TopicError
from lake.errors import ForeignTableError, SchemaConflictError, in_one_line
from lake.writer.broker_view import BrokerView
from lake.writer.live_rules import LiveRules
from lake.writer.partitions import AWAY
from lake.writer.rules import Rules
from lake.writer.sinks import Sinks
from lake.writer.start import TopicPartitionKey

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of rules leaves to do."""

    topics: frozenset[str]
    """Their partitions are to be taken over anew, which claims them for the new rules."""
    new: tuple[TopicPartitionKey, ...]
    """Partitions of topics that were not read before."""


def put_in_force(
    news: Iterable[Rules], rules: LiveRules, sinks: Sinks, view: BrokerView
) -> Changed:
    """Change what the tables take and how messages are decoded, while nothing is under way.

    A table gets its new columns here, so before the first row that needs one. Rules that do not
    fit the tables are refused; what cannot be done because somebody does not answer is offered
    again.
    """
    topics: set[str] = set()
    new: list[TopicPartitionKey] = []
    for one in news:
        topic = one.contract.topic
        try:
            keys = [] if topic in sinks.topics else view.partitions([topic])
            sinks.change(one)
        except (SchemaConflictError, ForeignTableError) as error:
            rules.refused(one, error.message)
        except (*AWAY, TopicError) as error:
            logger.warning("rules_put_off", extra={"topic": topic, "why": in_one_line(error)})
        else:
            rules.taken(one)
            topics.add(topic)
            new += keys
    return Changed(frozenset(topics), tuple(new))
