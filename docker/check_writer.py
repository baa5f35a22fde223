"""Health of the writer's container: exit code 0 while the writer is a member of its group.

A writer that cannot reach Kafka, hangs, or has lost its partitions leaves the group within
LAKEWARD_SESSION_SECONDS.
"""

from __future__ import annotations

import sys

from confluent_kafka import ConsumerGroupState, KafkaException

from ingest.errors import LakewardError
from ingest.kafka import admin_client
from ingest.settings import IngestSettings
from lake.settings import LakeSettings

TIMEOUT_S = 10.0
WITHOUT_MEMBERS = {ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD}


def main() -> str | None:
    """Return what is wrong, or None."""
    group = LakeSettings().writer_name
    try:
        admin = admin_client(IngestSettings())
        described = admin.describe_consumer_groups([group], request_timeout=TIMEOUT_S)
        state = described[group].result(TIMEOUT_S).state
    except (KafkaException, LakewardError, TimeoutError) as error:
        return f"cannot ask Kafka for the group {group!r}: {error}"
    if state in WITHOUT_MEMBERS:
        return f"the group {group!r} has no members"
    return None


if __name__ == "__main__":
    sys.exit(main())
