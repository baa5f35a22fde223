"""What a running writer takes of changed contracts and tenants, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ingest.contracts.model import Contract
from ingest.errors import ContractError, TopicError
from lake.writer.contract_files import ContractFiles
from lake.writer.live_rules import LiveRules
from lake.writer.rules import Rules
from lake.writer.watch import WriterWatch
from tests.lake.writer.bench import CONTRACT, STRICTER, WIDER
from tests.lake.writer.rig import CONTRACT_FILE

ORDERS = replace(CONTRACT, name="orders", topic="orders")
ACME = frozenset({"acme"})


@dataclass
class World:
    """What the writer asks."""

    contracts: list[Contract] = field(default_factory=lambda: [CONTRACT])
    tenants: frozenset[str] | None = None
    failure: Exception | None = None
    watch: WriterWatch = field(default_factory=lambda: WriterWatch({CONTRACT.topic: "visits"}))

    def rules(self, admit: Callable[[Contract], None] = lambda _: None) -> LiveRules:
        return LiveRules(
            [Rules(CONTRACT, None)],
            self._ask,
            lambda: self.tenants,
            admit=admit,
            watch=self.watch,
        )

    def _ask(self) -> list[Contract]:
        if self.failure is not None:
            raise self.failure
        return self.contracts

    @property
    def refused(self) -> tuple[float | None, str]:
        """The metric, and what /readyz says."""
        (check,) = (c for c in self.watch.health.ready().checks if c.name == "rules")
        assert check.is_well, "it is no reason to be unready"
        return self.watch.registry.get_sample_value("lakeward_writer_rules_refused"), check.why


def offered(rules: LiveRules) -> list[Rules]:
    rules.ask()
    return rules.news()


def test_nothing_changed_is_no_news() -> None:
    world = World()
    assert offered(world.rules()) == []
    assert world.refused == (0, "as the contracts and tenants say")


def test_a_newer_version_a_new_contract_and_other_tenants_are_offered_until_taken() -> None:
    world = World(contracts=[WIDER, ORDERS], tenants=ACME)
    rules = world.rules()
    wanted = [Rules(WIDER, ACME), Rules(ORDERS, ACME)]
    assert offered(rules) == wanted
    assert rules.news() == [], "once for each time they were asked for"
    assert offered(rules) == wanted
    rules.taken(wanted[0])
    assert offered(rules) == wanted[1:]
    shown = {"contract": "visits", "topic": "visits", "version": "1.1.0"}
    assert world.watch.registry.get_sample_value("lakeward_writer_contract_info", shown) == 1


@pytest.mark.parametrize(
    ("contracts", "why"),
    [
        ([STRICTER], "channel: is new and required"),
        ([replace(WIDER, version="1.0.0")], "raise it"),
        ([], "its file is gone"),
        ([replace(CONTRACT, name="renamed")], "is the topic of visits"),
    ],
)
def test_what_would_break_stored_rows_is_told_and_not_taken(
    contracts: list[Contract], why: str
) -> None:
    world = World(contracts=contracts, tenants=ACME)
    rules = world.rules()
    assert offered(rules) == [Rules(CONTRACT, ACME)], "the tenants are taken all the same"
    count, told = world.refused
    assert count
    assert why in told


def test_files_that_cannot_be_read_leave_the_contracts_in_force_until_they_are_mended() -> None:
    world = World(failure=ContractError("visits.odcs.yaml:3: broken"))
    rules = world.rules()
    assert offered(rules) == []
    assert world.refused == (1, "goes on by those it has: contracts: visits.odcs.yaml:3: broken")
    world.failure, world.contracts = None, [WIDER]
    assert offered(rules) == [Rules(WIDER, None)]
    assert world.refused[0] == 0


def test_a_registry_that_does_not_answer_leaves_the_tenants_in_force() -> None:
    world = World()

    def away() -> frozenset[str]:
        raise OSError("no route to host")

    rules = LiveRules([Rules(CONTRACT, ACME)], None, away, watch=world.watch)
    assert offered(rules) == []
    assert world.refused == (1, "goes on by those it has: tenants: no route to host")


def test_rules_that_a_table_does_not_take_are_not_offered_again() -> None:
    world = World(contracts=[WIDER])
    rules = world.rules()
    (wider,) = offered(rules)
    rules.refused(wider, "channel is a number there")
    assert offered(rules) == []
    assert world.refused == (1, "goes on by those it has: visits: channel is a number there")
    world.contracts = [replace(WIDER, version="1.1.1")]
    assert len(offered(rules)) == 1


def test_a_new_contract_waits_for_its_topic() -> None:
    world = World(contracts=[CONTRACT, ORDERS])
    topics: set[str] = set()

    def admit(contract: Contract) -> None:
        if contract.topic not in topics:
            raise TopicError(f"the broker has no topic {contract.topic}")

    rules = world.rules(admit)
    assert offered(rules) == []
    assert "no topic orders" in world.refused[1]
    topics.add("orders")
    assert offered(rules) == [Rules(ORDERS, None)]


def test_contract_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    file = tmp_path / "visits.odcs.yaml"
    file.write_text(CONTRACT_FILE.format(topic="visits"))
    files = ContractFiles(tmp_path, {"visits"})
    first = files()
    assert [contract.version for contract in first] == ["1.0.0"]
    assert files() is first
    file.write_text(file.read_text().replace("1.0.0", "1.0.10"))
    assert [contract.version for contract in files()] == ["1.0.10"]
    file.write_text("broken")
    for _ in range(2):
        with pytest.raises(ContractError):
            files()
