"""Names of the jobs; what each selects is in ``definitions``."""

from __future__ import annotations

BUILD_JOB = "build"
"""Checks bronze, builds silver and gold from what is new, checks both."""
EVERYTHING_JOB = "everything"
"""The same, after draining what is in Kafka."""
AUDIT_JOB = "audit"
MAINTAIN_JOB = "maintain"
"""Merges small files, vacuums, shortens the logs."""
COMPACT_JOB = "compact"
"""Merges small files only."""
FORGET_JOB = "forget_old_runs"
PROVISION_JOB = "provision_tenant"
"""Registers a tenant and lets its events in."""
