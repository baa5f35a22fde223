"""Assignment is a function of the two ids alone, and shares users out as the weights say."""

from __future__ import annotations

from collections import Counter

import pytest

from ingest.errors import ExperimentError
from ingest.experiments import assign, draw


def test_the_assignment_of_known_users_never_changes() -> None:
    """By `printf hero:u1 | md5sum`: a change here would hand users another variant."""
    assert draw("hero", "u1") == int("3ebf118aca773", 16)
    assert assign("hero", "u1", {"a": 1, "b": 1}) == assign("hero", "u1", {"b": 1, "a": 1})


def test_users_are_shared_out_by_weight_and_one_experiment_says_nothing_of_another() -> None:
    weights = {"a": 7, "b": 2, "c": 1, "off": 0}
    users = [f"u{n}" for n in range(20_000)]
    one = [assign("one", user, weights) for user in users]
    shares = {variant: count / len(users) for variant, count in Counter(one).items()}
    assert shares == pytest.approx({"a": 0.7, "b": 0.2, "c": 0.1}, abs=0.015)
    two = [assign("two", user, {"x": 1, "y": 1}) for user in users]
    for variant in "abc":
        among = [y for x, y in zip(one, two, strict=True) if x == variant]
        assert among.count("x") / len(among) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(
    ("experiment", "weights"),
    [("a:b", {"a": 1}), ("", {"a": 1}), ("a", {"a": 0}), ("a", {"a": 2, "b": -1}), ("a", {})],
)
def test_what_cannot_be_assigned_is_refused(experiment: str, weights: dict[str, int]) -> None:
    with pytest.raises(ExperimentError):
        assign(experiment, "u1", weights)
