"""What is tried again by itself, and how long it waits between two tries.

Only what may pass by itself: a step that raises ``Failure`` with ``allow_retries=False`` has found
something that another try would find too.
"""

from __future__ import annotations

from dagster import Backoff, Jitter, RetryPolicy

BROKER_RETRIES = RetryPolicy(
    max_retries=3, delay=5, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS
)
"""For a drain: a broker that restarts, an object store that does not answer."""

BUILD_RETRIES = RetryPolicy(
    max_retries=2, delay=10, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS
)
"""For a build that met another one, or a store that did not answer. A test that fails is final."""

STORE_RETRIES = RetryPolicy(
    max_retries=2, delay=30, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS
)
"""For the jobs that look after the lake, which have time."""
