"""Files are merged when it pays, and not again and again."""

from __future__ import annotations

import random

from lake.maintenance.groups import FEWEST, File, groups

MB = 2**20


def files(*sizes: int) -> list[File]:
    return [File(f"f{number}", size) for number, size in enumerate(sizes)]


def sizes(found: list[tuple[File, ...]]) -> list[list[int]]:
    return [[file.size for file in group] for group in found]


def test_a_few_small_files_are_left_alone() -> None:
    assert groups(files(*[MB] * (FEWEST - 1)), 128 * MB) == []


def test_many_small_files_become_one() -> None:
    assert sizes(groups(files(*[MB] * 50), 128 * MB)) == [[MB] * 50]


def test_large_files_are_never_rewritten() -> None:
    assert groups(files(*[100 * MB] * 50), 128 * MB) == []
    assert sizes(groups(files(500 * MB, *[MB] * 8), 128 * MB)) == [[MB] * 8]


def test_no_merged_file_is_larger_than_asked_for() -> None:
    found = sizes(groups(files(*[25 * MB] * 20), 128 * MB))
    assert found == [[25 * MB] * 5] * 4


def test_a_file_is_rewritten_only_for_half_its_weight() -> None:
    assert sizes(groups(files(60 * MB, *[MB] * 20), 128 * MB)) == [[MB] * 20]
    assert sizes(groups(files(60 * MB, *[MB] * 30), 128 * MB)) == [[MB] * 30 + [60 * MB]]


def test_a_partition_filled_by_small_commits_stays_at_few_files_and_little_rewriting() -> None:
    # a day of one commit a second, maintained every ten minutes
    chance = random.Random(1)
    there: list[int] = []
    written = rewritten = most = 0
    for _ in range(144):
        news = [chance.randrange(10_000, 80_000) for _ in range(600)]
        written += sum(news)
        there += news
        while found := sizes(groups(files(*there), 128 * MB)):
            for group in found:
                for size in group:
                    there.remove(size)
                there.append(sum(group))
                rewritten += sum(group)
        most = max(most, len(there))
    assert most <= 2 * FEWEST + written // (64 * MB)
    assert rewritten <= 6 * written
