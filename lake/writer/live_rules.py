"""Rules that change while the writer runs: a newer contract, a new one, other tenants.

They are asked for by a thread of their own, since a file system or a registry may be slow, and put
in force by the polling thread between two batches. What is wrong with them is told and stops
nothing: the writer goes on by the rules it has.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from ingest.contracts.compatibility import compare
from ingest.contracts.model import Contract
from ingest.errors import LakewardError
from lake.errors import in_one_line
from lake.writer.rules import Rules, rules_number
from lake.writer.watch import WriterWatch

logger = logging.getLogger(__name__)

TENANTS = "tenants"
CONTRACTS = "contracts"


class LiveRules:
    """The rules in force, and those that wait to be."""

    def __init__(
        self,
        in_force: Iterable[Rules],
        contracts: Callable[[], Iterable[Contract]] | None,
        tenants: Callable[[], frozenset[str] | None],
        *,
        admit: Callable[[Contract], None] = lambda _: None,
        watch: WriterWatch | None = None,
    ) -> None:
        """Begin with what the writer began with; all of one writer have the same tenants.

        Args:
            in_force: one for each contract.
            contracts: what the contracts are now; None: they stay what they are.
            tenants: which tenants are known now; None: every one.
            admit: sees to it that a new contract's topic is there, or raises.
            watch: is told what is in force and what is refused.
        """
        self._in_force = {rules.contract.name: rules for rules in in_force}
        self._contracts = contracts
        self._ask_tenants = tenants
        self._tenants = next((rules.tenants for rules in self._in_force.values()), None)
        self._admit = admit
        self._watch = watch
        self._lock = threading.Lock()
        self._news: list[Rules] = []
        self._refused: dict[str, tuple[int, str]] = {}
        """By contract: the number of the rules that the tables do not take, and why."""
        self._troubles: dict[str, str] = {}
        if watch is not None:
            for rules in self._in_force.values():
                watch.under(rules.contract)

    def news(self) -> list[Rules]:
        """Return the rules to put in force, once for each time they were asked for."""
        if not self._news:
            return []
        with self._lock:
            found, self._news = self._news, []
            return [r for r in found if not _is_same(r, self._in_force.get(r.contract.name))]

    def taken(self, rules: Rules) -> None:
        """These rules are in force."""
        with self._lock:
            self._in_force[rules.contract.name] = rules
        if self._watch is not None:
            self._watch.under(rules.contract)
        logger.info(
            "rules_changed",
            extra={
                "contract": rules.contract.name,
                "version": rules.contract.version,
                "tenants": None if rules.tenants is None else len(rules.tenants),
            },
        )

    def refused(self, rules: Rules, why: str) -> None:
        """The tables do not take these rules; they are not offered again."""
        number = rules_number(rules.contract, rules.tenants)
        with self._lock:
            self._refused[rules.contract.name] = number, why
        self._tell({**self._troubles, rules.contract.name: why})

    def ask(self) -> None:
        """Look once at what the rules should be."""
        troubles: dict[str, str] = {}
        try:
            self._tenants = self._ask_tenants()
        except Exception as error:  # noqa: BLE001 - whatever it is, those in force stay
            troubles[TENANTS] = _why(error)
        wanted = [Rules(contract, self._tenants) for contract in self._wanted(troubles)]
        with self._lock:
            self._news = []
            for rules in wanted:
                name = rules.contract.name
                if _is_same(rules, self._in_force.get(name)):
                    continue
                number, why = self._refused.get(name, (None, ""))
                if number == rules_number(rules.contract, rules.tenants):
                    troubles[name] = why
                else:
                    self._news.append(rules)
        self._tell(troubles)

    def _wanted(self, troubles: dict[str, str]) -> Iterator[Contract]:
        """Yield each contract as it should be; where it may not be so, as it is."""
        with self._lock:
            old = {name: rules.contract for name, rules in self._in_force.items()}
        try:
            found = list(old.values() if self._contracts is None else self._contracts())
        except Exception as error:  # noqa: BLE001 - whatever it is, those in force stay
            troubles[CONTRACTS] = _why(error)
            yield from old.values()
            return
        now = {contract.name: contract for contract in found}
        for name, contract in old.items():
            newer = now.pop(name, None)
            if newer is None:
                troubles[name] = "its file is gone; its topic is read until the writer ends"
            elif reasons := [str(c) for c in compare(contract, newer) if not c.compatible]:
                troubles[name] = "; ".join(reasons)
                newer = None
            yield contract if newer is None else newer
        topics = {contract.topic: contract.name for contract in old.values()}
        for name, contract in now.items():
            if contract.topic in topics:
                troubles[name] = f"{contract.topic} is the topic of {topics[contract.topic]}"
                continue
            try:
                self._admit(contract)
            except LakewardError as error:
                troubles[name] = _why(error)
            else:
                yield contract

    def _tell(self, troubles: dict[str, str]) -> None:
        for what, why in troubles.items():
            if self._troubles.get(what) != why:
                logger.warning("rules_not_changed", extra={"what": what, "why": why})
        self._troubles = troubles
        if self._watch is not None:
            self._watch.refused_rules(troubles)


@contextmanager
def asking(rules: LiveRules, seconds: float) -> Iterator[None]:
    """Ask every so many seconds, in a thread, while the block runs."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            rules.ask()

    thread = threading.Thread(target=run, name="rules", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(seconds)


def _is_same(rules: Rules, other: Rules | None) -> bool:
    if other is None:
        return False
    return rules_number(rules.contract, rules.tenants) == rules_number(
        other.contract, other.tenants
    )


def _why(error: Exception) -> str:
    return error.message if isinstance(error, LakewardError) else in_one_line(error)
