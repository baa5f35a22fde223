"""The way to Kafka, in one place to import from.

librdkafka writes its troubles to standard error unless it is given a logger; pass
``LIBRDKAFKA_LOGGER`` as ``logger=`` to each client, and say what matters in an exception.
"""

from ingest.connection import (
    LIBRDKAFKA_LOGGER,
    OWNED_PROPERTIES,
    admin_client,
    client_config,
)
from ingest.reachability import check_reachable
from ingest.topics import (
    NO_TOPIC_ID,
    ensure_compacted_topic,
    ensure_topics,
    is_embedded,
    topic_ids,
)

__all__ = [
    "LIBRDKAFKA_LOGGER",
    "NO_TOPIC_ID",
    "OWNED_PROPERTIES",
    "admin_client",
    "check_reachable",
    "client_config",
    "ensure_compacted_topic",
    "ensure_topics",
    "is_embedded",
    "topic_ids",
]
