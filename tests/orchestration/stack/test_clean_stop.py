"""What lets an embedded broker begin anew without a question: a record that it was drained."""

from __future__ import annotations

from pathlib import Path

from lake.journal import Journal
from lake.settings import LakeSettings
from lake.tables import Lake
from lake.writer.source import Source
from orchestration.stack.clean_stop import CleanStop


def knows(settings: LakeSettings, *topic_ids: str) -> None:
    journal = Journal(Lake(settings.root), settings.writer_name)
    journal.write(
        journal.entry("topic_first_seen", Source(f"topic-{n}", topic_id, 0), 0, None)
        for n, topic_id in enumerate(topic_ids)
    )


def test_the_record_serves_one_start_only(tmp_path: Path) -> None:
    CleanStop(frozenset({"a", "b"})).write(tmp_path)
    assert CleanStop.take(tmp_path) == CleanStop(frozenset({"a", "b"}))
    assert CleanStop.take(tmp_path) is None


def test_topics_that_were_drained_may_begin_anew(tmp_path: Path) -> None:
    settings = LakeSettings(_env_file=None, home=tmp_path)
    knows(settings, "a", "b")
    assert CleanStop(frozenset({"a", "b", "c"})).covers(settings)


def test_a_topic_of_another_broker_in_between_is_not_covered(tmp_path: Path) -> None:
    settings = LakeSettings(_env_file=None, home=tmp_path)
    knows(settings, "a", "of another broker")
    assert not CleanStop(frozenset({"a", "b"})).covers(settings)


def test_a_record_that_cannot_be_read_covers_nothing(tmp_path: Path) -> None:
    path = CleanStop.path(tmp_path)
    path.parent.mkdir()
    path.write_text("{half a rec")
    assert CleanStop.take(tmp_path) is None
    assert not path.exists()
