from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from ingest.errors import DeliveryError, ImportFileError
from ingest.importer.mapping import load_mapping
from ingest.importer.records import guess_format
from ingest.importer.run import BATCH_LINES, ImportPlan, ImportReport, import_file
from ingest.publisher import Publisher
from ingest.settings import IngestSettings
from tests.kafka_servers.topics import KafkaForTest

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


@dataclass
class Outbox:
    """Takes what an import sends, in place of a broker."""

    breaks_after: int | None = None
    sent: list[tuple[bytes | None, bytes]] = field(default_factory=list)

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None: ...

    def send(self, _contract: str, key: bytes | None, value: bytes) -> None:
        if self.breaks_after is not None and len(self.sent) == self.breaks_after:
            raise DeliveryError("the broker is gone")
        self.sent.append((key, value))

    def flush(self) -> None: ...

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(value) for _, value in self.sent]


@pytest.fixture
def settings(tmp_path: Path) -> IngestSettings:
    return IngestSettings(_env_file=None, home=tmp_path / "home")


@pytest.fixture(scope="module")
def ads() -> Contract:
    return load_contracts(None).by_name("ad_events")


def ad(number: int) -> str:
    return json.dumps(
        {
            "tenant_id": "acme", "ts": f"2025-01-01T00:00:{number % 60:02}Z", "cost": 1.10,
            "campaign_id": "spring_sale", "channel": "email", "event": "click", "n": number,
        }
    )  # fmt: skip


def write(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_text("\n".join(lines) + end)
    return path


def bring_in(
    path: Path,
    contract: Contract,
    settings: IngestSettings,
    outbox: Outbox | None = None,
    stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> tuple[ImportReport, Outbox]:
    to = Outbox() if outbox is None else outbox
    plan = ImportPlan(
        path, contract, **({"form": "jsonl", "mapping": None, "tenant": None} | options)
    )
    return import_file(plan, settings, lambda: to, stop=stop), to  # type: ignore[arg-type, return-value]


def balances(report: ImportReport) -> bool:
    return report.lines == report.sent + report.blank + sum(report.refused.values())


def test_every_line_is_sent_refused_or_blank(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    bad = ["", "{", "[]", '{"tenant_id": "acme"}', ad(1).replace("T00", "X00")]
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(20)] + bad, end="")
    report, outbox = bring_in(path, ads, settings)
    assert balances(report)
    assert (report.lines, report.sent, report.blank) == (25, 20, 1)
    assert report.refused == {
        "not_json": 1, "not_an_object": 1, "missing_required": 1, "invalid_required": 1
    }  # fmt: skip
    assert report.finished
    assert [p["n"] for p in outbox.payloads] == list(range(20))
    assert report.rejects is not None
    listed = [json.loads(line) for line in report.rejects.read_text().splitlines()]
    assert [(e["line"], e["reason"], e["text"]) for e in listed] == [
        (22, "not_json", "{"),
        (23, "not_an_object", "[]"),
        (24, "missing_required", '{"tenant_id": "acme"}'),
        (25, "invalid_required", bad[4]),
    ]


def test_an_event_with_an_id_is_sent_as_it_stands_in_the_file(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    text = ad(1).replace("1.1", "1.100000000000000000001").replace("{", '{"event_id": "e",  ', 1)
    _, outbox = bring_in(write(tmp_path / "ads.jsonl", [text]), ads, settings)
    assert outbox.sent == [(b"acme|e", text.encode())]


def test_a_second_run_sends_nothing(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(5)] + ["{"])
    first, _ = bring_in(path, ads, settings)
    second, outbox = bring_in(path, ads, settings)
    assert outbox.sent == []
    assert second.was_finished
    assert not first.was_finished
    assert (second.sent, second.refused, second.lines) == (first.sent, first.refused, first.lines)


def test_the_same_content_elsewhere_is_the_same_import(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(5)])
    bring_in(path, ads, settings)
    packed = tmp_path / "other.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    report, outbox = bring_in(packed, ads, settings)
    assert report.was_finished
    assert outbox.sent == []


def test_again_sends_everything_with_the_same_ids(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(5)] + ["{"])
    _, first = bring_in(path, ads, settings)
    report, second = bring_in(path, ads, settings, again=True)
    assert second.sent == first.sent
    assert balances(report)
    assert report.derived_ids == 5


def test_a_broken_run_goes_on_and_no_id_is_new(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    lines = [ad(n) if n % 7 else "{" for n in range(2 * BATCH_LINES + 100)]
    path = write(tmp_path / "ads.jsonl", lines)
    broken = Outbox(breaks_after=BATCH_LINES)
    with pytest.raises(DeliveryError):
        bring_in(path, ads, settings, broken)
    report, rest = bring_in(path, ads, settings)
    assert report.resumed_after == BATCH_LINES
    assert report.finished
    assert balances(report)
    ids = Counter(p["event_id"] for p in broken.payloads + rest.payloads)
    whole, outbox = bring_in(path, ads, replace_home(settings, tmp_path / "other"))
    assert set(ids) == {p["event_id"] for p in outbox.payloads}
    assert len(ids) == whole.sent == report.sent
    assert report.rejects is not None
    listed = [json.loads(line)["line"] for line in report.rejects.read_text().splitlines()]
    assert listed == [n + 1 for n, text in enumerate(lines) if text == "{"]


def replace_home(settings: IngestSettings, home: Path) -> IngestSettings:
    return settings.model_copy(update={"home": home})


def test_a_stopped_run_says_where_it_is_and_goes_on_there(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(50)])
    asked = iter([False] * 9 + [True] * 99)
    first, one = bring_in(path, ads, settings, stop=lambda: next(asked))
    assert (first.sent, first.finished) == (10, False)
    second, two = bring_in(path, ads, settings)
    assert (second.resumed_after, second.sent_now, second.sent) == (10, 40, 50)
    assert [p["n"] for p in one.payloads + two.payloads] == list(range(50))


def test_a_file_that_has_grown_brings_its_new_lines_only(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(10)])
    _, one = bring_in(path, ads, settings)
    write(path, [ad(n) for n in range(25)])
    report, two = bring_in(path, ads, settings)
    assert [p["n"] for p in two.payloads] == list(range(10, 25))
    assert (report.lines, report.sent) == (25, 25)
    _, again = bring_in(path, ads, settings, again=True)
    assert again.sent == one.sent + two.sent


def test_another_file_at_the_same_place_is_another_import(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(10)])
    _, one = bring_in(path, ads, settings)
    write(path, [ad(n) for n in range(1, 12)])
    report, two = bring_in(path, ads, settings)
    assert report.sent == 11
    ids = [p["event_id"] for p in one.payloads + two.payloads]
    assert len(set(ids)) == 21


def test_what_is_appended_meanwhile_is_for_the_next_run(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(n) for n in range(3)])

    class Growing(Outbox):
        def send(self, _contract: str, key: bytes | None, value: bytes) -> None:
            if not self.sent:
                write(path, [ad(n) for n in range(6)])
            super().send(_contract, key, value)

    report, one = bring_in(path, ads, settings, Growing())
    assert (report.lines, report.sent) == (3, 3)
    _, two = bring_in(path, ads, settings)
    assert [p["n"] for p in one.payloads + two.payloads] == list(range(6))


def test_a_file_of_which_nothing_fits_is_refused_whole(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", ['{"x": 1}'] * 300)
    with pytest.raises(ImportFileError, match=r"none of the first 100 lines.*missing_required"):
        bring_in(path, ads, settings)
    assert list((settings.home / "imports").glob("*")) == []


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_done_at_once(
    tmp_path: Path, ads: Contract, settings: IngestSettings, text: str
) -> None:
    path = tmp_path / "ads.jsonl"
    path.write_text(text)
    report, _ = bring_in(path, ads, settings)
    assert balances(report)
    assert report.finished
    assert report.sent == 0


def test_csv_columns_fill_the_fields_of_their_names(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(
        tmp_path / "ads.csv",
        [
            "occurred_at,campaign_id,channel,event,cost,note",
            '2025-01-01 00:00:00,spring_sale,email,click,1.10,"a\nb"',
            "2025-01-01 00:00:01,spring_sale,email,click,,",
            "2025-01-01 00:00:02,spring_sale,email",
        ],
    )
    report, outbox = bring_in(path, ads, settings, form="csv", tenant="acme")
    assert balances(report)
    assert (report.sent, report.refused) == (2, {"wrong_columns": 1})
    one, two = outbox.payloads
    assert one["ts"] == "2025-01-01 00:00:00"
    assert (one["cost"], two["cost"]) == ("1.10", None)
    assert one["note"] == "a\nb"
    assert one["tenant_id"] == "acme"
    assert one["event_id"] != two["event_id"]


def test_a_state_that_cannot_be_read_is_told(
    tmp_path: Path, ads: Contract, settings: IngestSettings
) -> None:
    path = write(tmp_path / "ads.jsonl", [ad(1)])
    bring_in(path, ads, settings)
    (state,) = (settings.home / "imports").glob("*.json")
    state.write_text("{")
    with pytest.raises(ImportFileError) as caught:
        bring_in(path, ads, settings)
    assert str(state) in str(caught.value)
    assert "remove the file" in str(caught.value)


needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(),
    reason=f"the real data sets are not there: put them into {SHARED} (its README names them)",
)


def real_import(
    name: str, contract_name: str, mapping_name: str, kafka: KafkaForTest
) -> tuple[ImportReport, list[dict[str, Any]]]:
    """Bring a real file into a topic; return the report and what the topic then holds."""
    contract = load_contracts(None).by_name(contract_name)
    contract = replace(contract, topic=kafka.unique(contract.topic))
    kafka.create_topic(contract.topic, 3)
    path, mapping = SHARED / name, load_mapping(mapping_name)
    form = mapping.format or guess_format(path)
    plan = ImportPlan(path, contract, form, mapping, "acme")
    report = import_file(plan, kafka.settings, lambda: Publisher(kafka.settings, [contract]))
    there = kafka.consume(contract.topic, report.sent)
    assert len(there) == report.sent
    return report, [json.loads(message.value()) for message in there]


@needs_shared_data
def test_a_real_access_log_comes_in_line_by_line(kafka: KafkaForTest) -> None:
    report, payloads = real_import("access_log_2015.txt", "clickstream", "access_log", kafka)
    text = (SHARED / "access_log_2015.txt").read_text()
    assert report.lines == len(text.splitlines()) == 10_000
    assert report.refused == {"not_a_log_line": 1}
    assert balances(report)
    assert report.rejects is not None
    rejected = json.loads(report.rejects.read_text())
    assert text.splitlines()[rejected["line"] - 1] == rejected["text"]
    assert rejected["text"].count('"') % 2 == 1  # it is cut off in the last quotation
    assert len({p["event_id"] for p in payloads}) == 9_999

    good = [line for line in text.splitlines() if line != rejected["text"]]
    assert Counter(p["ip"] for p in payloads) == Counter(line.split()[0] for line in good)
    assert Counter(p["page_url"] for p in payloads) == Counter(line.split()[6] for line in good)
    assert Counter(str(p["status"]) for p in payloads) == Counter(
        line.split('"')[2].split()[0] for line in good
    )
    days = Counter(p["timestamp"][:10] for p in payloads)
    assert days == Counter(f"2015-05-{line.split('[')[1][:2]}" for line in good)
    assert {p["tenant_id"] for p in payloads} == {"acme"}


@needs_shared_data
def test_real_github_events_all_come_in_with_their_own_ids(kafka: KafkaForTest) -> None:
    report, payloads = real_import("github_events_2021.jsonl", "app_events", "github_events", kafka)
    lines = (SHARED / "github_events_2021.jsonl").read_text().splitlines()
    events = {event["id"]: event for event in map(json.loads, lines)}
    assert (report.lines, report.sent, report.refused) == (800, 800, {})
    assert report.derived_ids == 0
    assert {p["event_id"] for p in payloads} == set(events)
    for payload in payloads:
        event = events[payload["event_id"]]
        assert payload["user_id"] == event["actor"]["login"]
        assert payload["occurred_at"] == event["created_at"]
        assert payload["event_type"] == event["type"]
        assert payload["properties"]["payload"] == event["payload"]
