"""Alerts reach a webhook, a mailbox and Slack, once a failure, and say when it is over."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from apprise.plugins.slack import NotifySlack
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    DagsterInstance,
    Definitions,
    MetadataValue,
    asset,
    asset_check,
    build_run_status_sensor_context,
    define_asset_job,
)
from typer.testing import CliRunner

from lakeward.__main__ import build_app
from orchestration.alert_sensors import alert_sensors
from orchestration.alerts import Alert, AlertBook, send
from orchestration.settings import OrchestrationSettings
from tests.ports import free_ports

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALERT = Alert("lakeward: job build failed", "**gold/fct_funnel**: 1 blocking rule does not hold")


class Receiver(ThreadingHTTPServer):
    """Takes what is posted to it; answers 500 while it is told to be down."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        self.is_down = False
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.is_down:
            self.server.got.append((self.path, json.loads(body)))
        self.send_response(500 if self.server.is_down else 200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_webhook_gets_title_body_and_kind(receiver: Receiver) -> None:
    [delivery] = send([f"json://{receiver.address}/hook"], ALERT)
    assert delivery.error is None
    [(path, posted)] = receiver.got
    assert path == "/hook"
    assert (posted["title"], posted["type"]) == (ALERT.title, "failure")
    assert "1 blocking rule does not hold" in posted["message"]


class Mailbox(Message):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.got.append(message)


def test_an_e_mail_arrives_at_a_mail_server() -> None:
    mailbox = Mailbox()
    (port,) = free_ports(1)
    server = Controller(mailbox, hostname="127.0.0.1", port=port)  # 0 is not to be had
    server.start()
    try:
        url = f"mailto://127.0.0.1:{port}?from=lake@example.com&to=team@example.org&mode=insecure"
        [delivery] = send([url], ALERT)
    finally:
        server.stop()
    assert delivery.error is None
    [mail] = mailbox.got
    assert mail["Subject"] == ALERT.title
    assert mail["To"].endswith("team@example.org")
    assert "1 blocking rule does not hold" in str(mail)


def test_slack_gets_its_own_format(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{receiver.address}/services")
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?footer=no"
    [delivery] = send([url], ALERT)
    assert delivery.error is None
    [(path, posted)] = receiver.got
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    [attachment] = posted["attachments"]
    assert ALERT.title in json.dumps(posted)
    assert "*gold/fct_funnel*" in json.dumps(attachment), "bold in Slack is one star"


@pytest.fixture
def book(tmp_path: Path, receiver: Receiver) -> AlertBook:
    return AlertBook(tmp_path / "alerts.json", [f"json://{receiver.address}"], 6 * HOUR)


def titles(receiver: Receiver) -> list[str]:
    return [posted["title"] for _, posted in receiver.got]


def test_a_failure_is_told_once_in_its_time_and_its_end_once(
    book: AlertBook, receiver: Receiver
) -> None:
    for hours in (0, 1, 5, 7):
        book.failed("job build", "the checks a:b", ALERT, NOW + hours * HOUR)
    assert titles(receiver) == [ALERT.title] * 2
    assert "failure 4 since 2026-03-10 12:00 UTC" in receiver.got[1][1]["message"]
    book.failed("job build", "the steps gold", ALERT, NOW + 8 * HOUR)  # another problem: at once
    assert len(receiver.got) == 3
    receiver.is_down = True
    book.failed("job build", "the run", ALERT, NOW + 8 * HOUR)
    receiver.is_down = False
    book.succeeded("job audit", NOW + 9 * HOUR)
    for _ in range(2):
        book.succeeded("job build", NOW + 9 * HOUR)
    assert titles(receiver)[3:] == ["lakeward: job build is well again"]


def test_an_alert_that_could_not_be_sent_is_tried_with_the_next_failure(
    book: AlertBook, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.is_down = True
    [delivery] = book.failed("job build", "x", ALERT, NOW)
    assert delivery.error is not None
    assert "alert not sent" in caplog.text
    receiver.is_down = False
    book.failed("job build", "x", ALERT, NOW + HOUR)
    assert len(receiver.got) == 1
    receiver.is_down = True
    book.succeeded("job build", NOW + 2 * HOUR)
    receiver.is_down = False
    book.succeeded("job build", NOW + 3 * HOUR)
    assert titles(receiver)[1:] == ["lakeward: job build is well again"]


def test_what_cannot_be_reached_or_understood_fails_nothing_and_shows_no_secret() -> None:
    found = send(["json://127.0.0.1:1/secret", "nonsense://secret"], ALERT)
    assert [delivery.place for delivery in found] == ["1 (json)", "2 (nonsense)"]
    assert all(delivery.error and "secret" not in delivery.error for delivery in found)


def test_a_blocking_check_is_told_with_its_rows_and_its_recovery(
    tmp_path: Path, receiver: Receiver
) -> None:
    """A real run fails by a real check; the sensors tell of it as Dagster would call them."""
    good = threading.Event()

    @asset
    def funnel() -> None:
        pass

    @asset_check(asset=funnel, blocking=True)
    def expectations() -> AssetCheckResult:
        table = "| visit_count is at most 1 | block | 3 of 10 rows | tenant_id=acme |"
        return AssetCheckResult(
            passed=good.is_set(),
            severity=AssetCheckSeverity.ERROR,
            description="1 blocking and 0 warning rules do not hold",
            metadata={"what does not hold": MetadataValue.md(table)},
        )

    settings = OrchestrationSettings(
        _env_file=None,
        home=tmp_path,
        alert_urls=f"json://{receiver.address}",
        alert_link="https://dagster.example.org/",
    )
    on_failure, on_recovery = alert_sensors(settings, now=lambda: NOW)
    defs = Definitions(
        assets=[funnel], asset_checks=[expectations], jobs=[define_asset_job("build", "*")]
    )
    with DagsterInstance.ephemeral() as instance:

        def run() -> Any:
            job = defs.resolve_job_def("build")
            result = job.execute_in_process(instance=instance, raise_on_error=False)
            ends = {"PIPELINE_SUCCESS", "PIPELINE_FAILURE"}
            [event] = [e for e in result.all_events if e.event_type_value in ends]
            return result, build_run_status_sensor_context(
                "sensor", event, instance, result.dagster_run
            )

        result, context = run()
        assert not result.success
        on_failure(context.for_run_failure())
        on_failure(run()[1].for_run_failure())
        good.set()
        on_recovery(run()[1])
    assert titles(receiver) == [
        "lakeward: job build failed",
        "lakeward: job build is well again",
    ]
    message = receiver.got[0][1]["message"]
    assert "the checks funnel:expectations" in message
    assert "tenant_id=acme" in message
    assert f"https://dagster.example.org/runs/{result.run_id}" in message


def test_without_an_address_there_is_no_sensor_and_the_command_says_so(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert alert_sensors(OrchestrationSettings(_env_file=None, home=tmp_path)) == []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKEWARD_ALERT_URLS", f"json://{receiver.address} json://127.0.0.1:1")
    result = CliRunner().invoke(build_app(), ["alert"])
    assert result.exit_code == 1
    assert "sent to URL 1 (json)" in result.output
    assert titles(receiver) == ["lakeward: a test alert"]
