"""Events that nobody here made up go the whole way, and are counted again from the files.

The files are described in their README. They stand beside the project where it is developed and in
continuous integration, and are not part of it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lake.read import LakeReader
from lake.tables import Lake
from tests.end_to_end.conftest import Lakeward
from tests.kafka_servers.topics import KafkaForTest

DATA = Path(__file__).parents[3] / "shared" / "data"
ACCESS_LOG = DATA / "access_log_2015.txt"
GITHUB = DATA / "github_events_2021.jsonl"
LOG_LINE = re.compile(r'^(\S+) \S+ \S+ \[([^\]]+)\] "[A-Z]+ (\S+)[^"]*" \d{3} \S+ ".*" ".*"$')

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason=f"the real data sets are not here: put {ACCESS_LOG.name} (elastic/examples) and "
    f"{GITHUB.name} (apache/pinot) into ../shared/data",
)


@pytest.mark.parametrize("own_kafka", ["apache"], indirect=True)
def test_each_line_of_the_real_files_is_an_event_in_gold_or_a_refused_line(
    lakeward_on_kafka: Lakeward, own_kafka: KafkaForTest
) -> None:
    """On Apache Kafka; ``lakeward demo`` goes the same way on the embedded broker."""
    run = lakeward_on_kafka

    def rows(sql: str) -> list[dict[str, Any]]:
        with LakeReader(Lake(str(own_kafka.settings.home / "lake"))) as reader:
            found: list[dict[str, Any]] = reader.table(sql).to_pylist()
        return found

    lines = ACCESS_LOG.read_text().splitlines()
    requests = [match for match in map(LOG_LINE.match, lines) if match]
    assert (len(lines), len(requests)) == (10_000, 9_999)
    access = ("import", str(ACCESS_LOG), "-c", "clickstream", "-m", "access_log", "-t", "blog")
    github = ("import", str(GITHUB), "-c", "app_events", "-m", "github_events", "-t", "github")
    assert "10,000 lines = 9,999 sent + 1 refused" in run(*access)
    assert "800 lines = 800 sent + 0 refused" in run(*github)

    run("write", "--until-current", "--create-topics")
    run("build")

    # the access log: by hour, by address, by page
    def hour(text: str) -> str:
        return f"{datetime.strptime(text, '%d/%b/%Y:%H:%M:%S %z').astimezone(UTC):%Y-%m-%d %H}"

    by_hour = rows(
        "select strftime(window_start, '%Y-%m-%d %H') as hour, sum(page_view_count)::int as views "
        "from gold.fct_metrics_60m where tenant_id = 'blog' group by all",
    )
    assert {row["hour"]: row["views"] for row in by_hour} == Counter(hour(r[2]) for r in requests)
    by_address = rows("select ip, count(*)::int as n from silver.stg_clickstream group by all")
    assert {row["ip"]: row["n"] for row in by_address} == Counter(r[1] for r in requests)
    by_page = rows("select page_url, count(*)::int as n from silver.stg_clickstream group by all")
    assert {row["page_url"]: row["n"] for row in by_page} == Counter(r[3] for r in requests)

    # the GitHub events: by id and kind
    events = [json.loads(line) for line in GITHUB.read_text().splitlines()]
    landed = rows("select event_id, event_type, user_id from silver.stg_app_events")
    assert {(r["event_id"], r["event_type"], r["user_id"]) for r in landed} == {
        (e["id"], e["type"], e["actor"]["login"]) for e in events
    }
    assert len(landed) == len(events)
    payloads = rows("select event_id, properties from silver.stg_app_events")
    sent = {e["id"]: e["payload"] for e in events}
    assert all(json.loads(r["properties"])["payload"] == sent[r["event_id"]] for r in payloads)

    # again: nothing is sent; forced, everything is sent and silver keeps one of each
    assert "0 sent in this run" in run(*github) or "nothing" in run(*github)
    run(*github, "--again")
    run("write", "--until-current", "--create-topics")
    run("build", "--no-tests")
    assert rows("select count(*)::int as n from silver.stg_app_events") == [{"n": 800}]
    assert rows("select count(*)::int as n from bronze.app_events") == [{"n": 1600}]
    assert "11,599 messages = 11,599 rows + 0 dead letters; 0 lost, 0 twice" in run("audit")
    run("check")
