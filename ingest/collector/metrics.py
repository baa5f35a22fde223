"""Every metric of the collector: its name, its kind, its labels, and what it means.

Labels are bounded and named by a person: routes, statuses, contracts and reasons. Never a tenant, a
key, or anything from a payload.

``docs/reference/metrics.md`` is made from this file (`make docs`).
"""

from __future__ import annotations

from typing import Final

from ingest.metric import Definition

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS: Final = Definition(
    "lakeward_collector_requests_total",
    "counter",
    ("route", "status"),
    "Requests to collect events, by what was answered.",
)
"""docs/reference/http-api.md says what each status means."""

ACCEPTED: Final = Definition(
    "lakeward_collector_events_accepted_total",
    "counter",
    ("contract",),
    "Events that are durable and acknowledged.",
)
"""What a client sends again counts again: the event id makes it one further down."""

REJECTED: Final = Definition(
    "lakeward_collector_events_rejected_total",
    "counter",
    ("reason",),
    "Events that were not taken, by reason (docs/reference/http-api.md).",
)
"""A sudden rise means that a client was released which does not keep its contract."""

BODY_BYTES: Final = Definition(
    "lakeward_collector_body_bytes_total",
    "counter",
    (),
    "Bytes of the bodies that were read, unpacked.",
)
"""Its rate beside that of the requests tells how large batches are."""

DURABLE_SECONDS: Final = Definition(
    "lakeward_collector_durable_seconds",
    "histogram",
    (),
    "Time from an event's check until it is durable, in Kafka or in the spill.",
    SECONDS,
)
"""Most of what a client waits. Much more than some milliseconds means that Kafka is slow."""

REGISTRY_AGE: Final = Definition(
    "lakeward_collector_tenant_registry_age_seconds",
    "gauge",
    (),
    "Time since the registry of tenants was last read, or found unchanged.",
)
"""Some seconds. It grows while the registry's database is away: then the collector goes on with the
copy it has, so a key that is revoked meanwhile is still taken, until
LAKEWARD_COLLECTOR_REGISTRY_MAX_AGE_SECONDS; from then on it answers 503. Alert above 60."""

IN_FLIGHT: Final = Definition(
    "lakeward_collector_in_flight_bytes",
    "gauge",
    (),
    "Bytes of the requests that are being worked on.",
)
"""At LAKEWARD_COLLECTOR_MAX_IN_FLIGHT_BYTES requests are answered 503."""

WAITING: Final = Definition(
    "lakeward_collector_kafka_waiting_messages",
    "gauge",
    (),
    "Messages that Kafka has not acknowledged yet.",
)
"""Bounded by what is in flight, and by librdkafka's queue."""

PRODUCER_FAILURES: Final = Definition(
    "lakeward_collector_producer_failures_total",
    "counter",
    (),
    "Times that the Kafka producer failed for good, and another took its place.",
)
"""What was on its way then went to the spill. The log has librdkafka's reason; more than one in a
day deserves a look at the brokers."""

SPILLED: Final = Definition(
    "lakeward_collector_spilled_events_total",
    "counter",
    (),
    "Events that went to the spill because Kafka was away or slow.",
)
"""Each is acknowledged, and goes to Kafka when it is back."""

DRAINED: Final = Definition(
    "lakeward_collector_drained_events_total",
    "counter",
    (),
    "Events that came from the spill to Kafka.",
)
"""After a crash some come twice; the event id makes them one."""

SPILL_BYTES: Final = Definition(
    "lakeward_collector_spill_bytes",
    "gauge",
    (),
    "Size of the spill.",
)
"""At LAKEWARD_COLLECTOR_SPILL_BYTES events are answered 503. Alert on anything that stays."""

SPILLING: Final = Definition(
    "lakeward_collector_spilling",
    "gauge",
    (),
    "1 while events go to the spill first, else 0.",
)
"""Nothing is lost while it is 1; it is not queryable yet either."""

BUILD: Final = Definition(
    "lakeward_build_info", "gauge", ("version",), "Always 1; the label is lakeward's version."
)
"""To see which release took what."""

DEFINITIONS: Final = (
    REQUESTS,
    ACCEPTED,
    REJECTED,
    BODY_BYTES,
    DURABLE_SECONDS,
    REGISTRY_AGE,
    IN_FLIGHT,
    WAITING,
    PRODUCER_FAILURES,
    SPILLED,
    DRAINED,
    SPILL_BYTES,
    SPILLING,
    BUILD,
)
"""All of them, in the order of the reference page."""
