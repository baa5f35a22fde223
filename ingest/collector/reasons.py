"""Why the collector does not take an event: every reason, named once.

An event can also be rejected for what would make it a dead letter, by the reasons of
``ingest.contracts.reasons``: the two together are what a client may read in an answer.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from ingest.contracts.reasons import INVALID_REQUIRED, MISSING_REQUIRED, NOT_AN_OBJECT, NOT_JSON
from ingest.contracts.reasons import Reason as ContractReason

OwnReason = Literal[
    "invalid_form",
    "unknown_type",
    "unknown_contract",
    "contract_not_allowed",
    "foreign_tenant",
    "too_deep",
    "too_large",
    "too_old",
    "too_far_ahead",
]
Reason = ContractReason | OwnReason

INVALID_FORM: Final = "invalid_form"
"""The entry is no object of ``contract`` and ``payload``, or has a member besides these."""

UNKNOWN_TYPE: Final = "unknown_type"
"""Segment's API: the message's ``type`` is none of track, page, screen, identify, group, alias."""

UNKNOWN_CONTRACT: Final = "unknown_contract"
"""No contract has this name."""

CONTRACT_NOT_ALLOWED: Final = "contract_not_allowed"
"""The write key may not send events of this contract."""

FOREIGN_TENANT: Final = "foreign_tenant"
"""The payload names another tenant than the one the write key belongs to."""

TOO_DEEP: Final = "too_deep"
"""The event nests deeper than ``LAKEWARD_COLLECTOR_MAX_DEPTH``."""

TOO_LARGE: Final = "too_large"
"""The event is larger than ``LAKEWARD_COLLECTOR_MAX_EVENT_BYTES`` as it would go to Kafka."""

TOO_OLD: Final = "too_old"
"""It happened longer ago than ``LAKEWARD_COLLECTOR_MAX_AGE_DAYS``."""

TOO_FAR_AHEAD: Final = "too_far_ahead"
"""It is dated ahead of the collector's clock by more than
``LAKEWARD_COLLECTOR_MAX_AHEAD_HOURS``."""

REASONS: Final[tuple[Reason, ...]] = (
    *get_args(OwnReason),
    NOT_AN_OBJECT,
    MISSING_REQUIRED,
    INVALID_REQUIRED,
    NOT_JSON,
)
"""Every reason that an answer can have. Bytes that are no JSON at all are refused as a request."""
