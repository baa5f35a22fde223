"""One ``lakeward up``, from the first process to the last."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from dagster import DagsterInstance

from ingest.collector.listening import DEFAULT_PORT as DEFAULT_COLLECTOR_PORT
from ingest.collector.listening import collector_address
from ingest.contracts.registry import load_contracts
from ingest.kafka import admin_client, topic_ids
from ingest.listen_address import LOCAL, ListenAddress
from ingest.settings import CollectorSettings, IngestSettings
from lake.settings import LakeSettings
from lake.writer.metrics_server import DEFAULT_PORT, metrics_address
from orchestration.instance import end_cut_off_runs, prepare, write_workspace
from orchestration.settings import OrchestrationSettings
from orchestration.stack import ports, services
from orchestration.stack.broker_seat import BrokerSeat, holds_messages
from orchestration.stack.clean_stop import CleanStop
from orchestration.stack.home_lock import home_lock
from orchestration.stack.service import Service
from orchestration.stack.services import DagsterPlan
from orchestration.stack.stack import Stack
from serving.dashboard.server import PORT as DASHBOARD_PORT

logger = logging.getLogger(__name__)

TEND_S = 0.5
CUT_OFF = "`lakeward up` ended while this run was under way."


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked of this ``lakeward up``."""

    port: int | None = None
    generate: float | None = None
    """Events a minute of the live generator; None: no generator."""
    accept_gap: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """One line of the table that a user sees when everything is up."""

    name: str
    what: str
    where: str
    pid: int | None


class Session:
    """Starts everything, keeps it running until told to stop, and stops it in order.

    The order of stopping is the way of an event: generator and collector stop, the writer
    takes what is in Kafka, Dagster stops reading, and the broker goes last.
    """

    def __init__(
        self,
        ingest: IngestSettings,
        lake: LakeSettings,
        settings: OrchestrationSettings,
        wishes: Wishes,
        *,
        say: Callable[[str], None],
        show: Callable[[str, str], None],
    ) -> None:
        """Take the settings, ``say`` for news and ``show(name, line)`` for warnings."""
        self._ingest = ingest
        self._lake = lake
        self._settings = settings
        self._wishes = wishes
        self._say = say
        self._show = show
        self._was_drained = False
        self._last_stop: CleanStop | None = None
        self._stack = Stack(settings.logs, say=say, show=self._show_warning)
        self.stop_asked = threading.Event()
        """Set it to stop; ``run`` then returns after everything has ended."""

    def stop(self) -> None:
        """Ask for the end; asked again, nothing has its time to end any more."""
        if self.stop_asked.is_set():
            self._stack.hurry()
        self.stop_asked.set()

    def run(self, ready: Callable[[list[Running]], None]) -> None:
        """Run until ``stop_asked``; call ``ready`` once everything is up.

        Raises:
            LakewardError: something does not come up, or does not stay up. Everything else has
                been stopped by then.
        """
        home = self._settings.home.resolve()
        with home_lock(home):
            port = ports.choose(self._settings.dagster_host, self._wishes.port)
            environment = {
                "LAKEWARD_HOME": str(home),
                "DAGSTER_HOME": str(prepare(self._settings)),
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
                "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore"),
            }
            self._end_cut_off_runs()
            broker = BrokerSeat.take(self._ingest)
            with self._everything_stopped_at_the_end(broker, environment):
                plan = self._start(broker, port, environment)
                if self.stop_asked.is_set():
                    return
                for error in plan.page.load_errors():
                    self._say(f"Dagster cannot load the definitions: {error}")
                ready(self._running(broker))
                while not self.stop_asked.wait(TEND_S):
                    broker.check_alive()
                    self._stack.tend()

    def _start(self, broker: BrokerSeat, port: int, environment: Mapping[str, str]) -> DagsterPlan:
        code_port = ports.any_free(services.CODE_HOST)
        plan = DagsterPlan(
            host=self._settings.dagster_host,
            port=port,
            code_port=code_port,
            workspace=write_workspace(self._settings, services.CODE_HOST, code_port),
            environment=environment,
        )
        self._was_drained = self._topics_were_drained(broker)
        accept = self._wishes.accept_gap or self._was_drained
        self._start_services(
            services.writer(environment, self._metrics_address(), accept),
            services.collector(environment, self._collector_address()),
            services.dashboard(environment, LOCAL, self._dashboard_port()),
            services.code_server(plan),
        )
        # The page asks the code server once at its start, so it comes after it.
        self._start_services(services.page(plan), services.daemon(plan))
        if self._wishes.generate is not None:
            self._start_services(services.generator(environment, self._wishes.generate))
        return plan

    def _metrics_address(self) -> ListenAddress:
        if self._lake.metrics_address is not None:
            return metrics_address(self._lake.metrics_address)
        hint = "Name a free one with LAKEWARD_METRICS_ADDRESS."
        return ListenAddress(LOCAL, ports.first_free(LOCAL, DEFAULT_PORT, hint))

    def _collector_address(self) -> ListenAddress:
        settings = CollectorSettings()
        if "address" in settings.model_fields_set:
            named = collector_address(settings.address)
            return named if named.port else replace(named, port=ports.any_free(named.host))
        hint = "Name a free one with LAKEWARD_COLLECTOR_ADDRESS."
        return ListenAddress(LOCAL, ports.first_free(LOCAL, DEFAULT_COLLECTOR_PORT, hint))

    def _dashboard_port(self) -> int:
        hint = "End what listens there; `lakeward dashboard --port` takes any."
        return ports.first_free(LOCAL, DASHBOARD_PORT, hint)

    def _start_services(self, *wanted: Service) -> None:
        if not self.stop_asked.is_set():
            self._stack.start(wanted, interrupted=self.stop_asked.is_set)

    def _show_warning(self, name: str, line: str) -> None:
        # Each topic of the new broker is one made again, and nothing of the old ones is missing.
        is_expected = name == services.WRITER and line.startswith("warning: gap_accepted")
        if not (self._was_drained and is_expected):
            self._show(name, line)

    def _topics_were_drained(self, broker: BrokerSeat) -> bool:
        if broker.owned is None:
            return False
        self._last_stop = CleanStop.take(self._settings.home)
        return self._last_stop is not None and self._last_stop.covers(self._lake)

    @contextmanager
    def _everything_stopped_at_the_end(
        self, broker: BrokerSeat, environment: Mapping[str, str]
    ) -> Iterator[None]:
        try:
            yield
        finally:
            self._stack.stop(services.GENERATOR, services.COLLECTOR)
            self._stack.stop(services.WRITER)
            if broker.owned is not None:
                with told_but_not_raised(self._say):
                    self._empty_the_broker(environment)
            self._stack.stop(services.DASHBOARD)
            self._stack.stop(services.DAEMON, services.PAGE, services.CODE)
            self._stack.kill_all()
            broker.stop()
            self._end_cut_off_runs()

    def _empty_the_broker(self, environment: Mapping[str, str]) -> None:
        """Bring what is still in the embedded broker into bronze, and write down that it is so.

        A broker that never got a message is left alone, and the last record stays valid: so a
        start that failed for another reason costs nothing.
        """
        topics = load_contracts(self._ingest.contracts_dir).topics()
        if not holds_messages(self._ingest, topics):
            if self._last_stop is not None:
                self._last_stop.write(self._settings.home)
            return
        ids = topic_ids(admin_client(self._ingest), topics)
        self._stack.run_to_end(services.drain(environment))
        CleanStop(frozenset(ids.values())).write(self._settings.home)

    def _end_cut_off_runs(self) -> None:
        with DagsterInstance.from_config(str(self._settings.dagster_home)) as instance:
            ended = end_cut_off_runs(instance, CUT_OFF)
        if ended:
            self._say(f"{len(ended)} Dagster runs were cut off; they are run again at the next up")

    def _running(self, broker: BrokerSeat) -> list[Running]:
        pid = None if broker.owned is None else broker.owned.pid
        lines = [Running("broker", broker.what, broker.address, pid)]
        for service in self._stack.services:
            lines.append(
                Running(service.name, service.what, service.where, self._stack.pid(service.name))
            )
        return lines


@contextmanager
def told_but_not_raised(say: Callable[[str], None]) -> Iterator[None]:
    """Let stopping go on when the broker cannot be emptied, and tell the user what that means."""
    try:
        yield
    except Exception as error:  # whatever it is, the rest must still be stopped
        logger.debug("broker_not_emptied", exc_info=True)
        say(
            f"the topics could not be drained ({error}); what was still in the embedded broker "
            "is lost, and the next `lakeward up` will ask for --accept-gap"
        )
