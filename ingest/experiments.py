"""Which variant of an experiment a user gets: worked out from their ids, stored nowhere.

The same rule is the dbt macro ``assigned_variant`` (``dbt_project/macros/experiments.sql``), equal
for every user to the last bit: a product, the marts and a script on somebody's laptop agree
without asking one another. See ``docs/concepts/experiments.md``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from ingest.errors import ExperimentError

EXPERIMENT_ID: Final = re.compile(r"[A-Za-z0-9_.-]+")
DIGITS: Final = 13
"""Hexadecimal digits of the md5 that are used: 52 bits, which every language holds exactly."""


def draw(experiment_id: str, user_id: str) -> int:
    """Return the number from 0 to 2**52 - 1 that stands for a user in an experiment.

    It is the first 13 hexadecimal digits of ``md5(experiment_id + ":" + user_id)`` over UTF-8.

    Raises:
        ExperimentError: ``experiment_id`` has other characters than letters, digits, ``_``, ``.``
            and ``-``: with a colon in it two pairs could share one text.
    """
    if EXPERIMENT_ID.fullmatch(experiment_id) is None:
        raise ExperimentError(
            f"{experiment_id!r} is no experiment id",
            hint="use letters, digits, `_`, `.` and `-`, such as onboarding_checklist",
        )
    text = f"{experiment_id}:{user_id}".encode()
    return int(hashlib.md5(text, usedforsecurity=False).hexdigest()[:DIGITS], 16)


def assign(experiment_id: str, user_id: str, weights: Mapping[str, int]) -> str:
    """Return the variant that a user gets.

    The draw modulo the sum of the weights falls into the span of one variant; the spans follow
    one another in the order of the variants' names by code point, each as long as its weight. A
    variant's share is off by less than the sum of the weights / 2**52.

    Args:
        experiment_id: the experiment.
        user_id: the user; any text.
        weights: variant -> whole number, at least 0; such as ``{"control": 1, "checklist": 1}``.

    Raises:
        ExperimentError: the id cannot be used, a weight is negative, or all are 0.
    """
    total = sum(weights.values())
    if total < 1 or min(weights.values()) < 0:
        raise ExperimentError(
            f"the weights of {experiment_id} are {dict(weights)}",
            hint="give whole numbers of at least 0, and one above it",
        )
    left = draw(experiment_id, user_id) % total
    for variant in sorted(weights):
        if left < weights[variant]:
            return variant
        left -= weights[variant]
    raise AssertionError("the spans cover every draw")
