"""A lake of test events: bronze as the writer leaves it, builds by dbt in this process."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ingest.contracts.registry import load_contracts
from lake.dbt_run import DbtResult, run_dbt
from lake.duck import connect, delta_scan, quote_name
from lake.schema import PARTITION_BY, bronze_schema
from lake.tables import Lake

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
Row = dict[str, Any]


@cache
def reader() -> duckdb.DuckDBPyConnection:
    """One connection for all tests: loading the delta extension takes a third of a second."""
    return connect(Lake("nowhere"))


@dataclass
class TestLake:
    """A lake root with bronze tables to add to, and builds of its silver and gold."""

    __test__ = False

    folder: Path
    now: datetime = START
    """When the next bronze commit is made; each commit moves it on."""
    models: str = ""
    """What is built when a test selects nothing; everything when empty."""
    _offsets: dict[str, int] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"))

    @property
    def home(self) -> Path:
        return self.folder

    def add(self, contract: str, rows: Iterable[Row], *, minutes: float = 1) -> None:
        """Append rows to a bronze table in one commit.

        A row may set what Kafka would (``_appended_at``, ``_partition``); ``occurred_at`` is by
        default when it was appended.
        """
        self.now += timedelta(minutes=minutes)
        schema = bronze_schema(load_contracts(None).by_name(contract))
        full = []
        for row in rows:
            offset = self._offsets.get(contract, 0)
            self._offsets[contract] = offset + 1
            full.append(
                {
                    "occurred_at": row.get("_appended_at", self.now),
                    "_topic": contract,
                    "_topic_id": f"id-{contract}",
                    "_partition": 0,
                    "_offset": offset,
                    "_appended_at": self.now,
                    "_committed_at": self.now,
                    "_contract_version": "1.0.0",
                    "_ingest_date": self.now.date(),
                    **row,
                }
            )
        write_deltalake(
            self.lake.uri("bronze", contract),
            pa.Table.from_pylist(full, schema=schema),
            mode="append",
            partition_by=list(PARTITION_BY),
        )

    def dbt(self, *args: str, target: str = "prod") -> DbtResult:
        """Run dbt; the caller looks at the result."""
        if self.models and args[0] in ("build", "run") and "--select" not in args:
            args = (*args, "--select", self.models)
        return run_dbt(args, home=self.home, lake_root=self.lake.root, target=target)

    def build(self, *args: str, target: str = "prod") -> DbtResult:
        """Build seeds and models without their tests, which must succeed."""
        result = self.dbt("build", *NO_TESTS, *args, target=target)
        assert result.succeeded, [(node.label, node.message) for node in result.failures()]
        return result

    def copy_bronze_to(self, folder: Path) -> TestLake:
        """Return another lake with the same bronze and nothing else."""
        return self._copy_to(folder, "lake/bronze")

    def copy_to(self, folder: Path) -> TestLake:
        """Return another lake that was built as this one was."""
        return self._copy_to(folder, "lake")

    def _copy_to(self, folder: Path, part: str) -> TestLake:
        shutil.copytree(self.folder / part, folder / part)
        return TestLake(folder, self.now, self.models, dict(self._offsets))

    def rows(self, label: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Return all rows of ``<layer>.<table>``, sorted, columns by name."""
        layer, name = label.split(".")
        scan = delta_scan(self.lake.uri(layer, name))  # type: ignore[arg-type]
        described = reader().execute(f"describe from {scan}").fetchall()
        columns = ", ".join(quote_name(column) for column in sorted(c[0] for c in described))
        found = reader().execute(f"select {columns} from {scan} where {where}").fetchall()
        return sorted(found, key=repr)

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL in which ``{silver.x}`` stands for that table."""
        for layer in ("bronze", "silver", "gold"):
            for name in self.lake.names(layer):  # type: ignore[arg-type]
                scan = delta_scan(self.lake.uri(layer, name))  # type: ignore[arg-type]
                sql = sql.replace(f"{{{layer}.{name}}}", scan)
        return reader().execute(sql).fetchall()

    def tables(self) -> list[str]:
        """Return the labels of all built tables."""
        found: list[str] = []
        for layer in ("silver", "gold"):
            found += [f"{layer}.{name}" for name in self.lake.names(layer)]  # type: ignore[arg-type]
        return found

    def versions(self) -> dict[str, int]:
        """Return the Delta version of each built table."""
        return {label: self.open(label).version() for label in self.tables()}

    def open(self, label: str) -> DeltaTable:
        layer, name = label.split(".")
        return self.lake.open(layer, name)  # type: ignore[arg-type]


NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


def assert_same_tables(one: TestLake, other: TestLake, leave_out: Sequence[str] = ()) -> None:
    """Every silver and gold table has the same rows in both lakes."""
    assert one.tables() == other.tables()
    for label in one.tables():
        if label not in leave_out:
            left, right = one.rows(label), other.rows(label)
            if left != right:
                only_left = [row for row in left if row not in right][:3]
                only_right = [row for row in right if row not in left][:3]
                pytest.fail(f"{label}: {only_left} against {only_right}")


class Chance:
    """Random events with what makes increments hard: late, twice, out of order, broken, future."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._sent: dict[str, list[Row]] = {}
        self._next = 0

    def batch(self, contract: str, now: datetime, size: int) -> list[Row]:
        """Return ``size`` events, some of which were sent before."""
        rows = [
            self._again(contract, now) if self.random.random() < 0.15 else self._new(contract, now)
            for _ in range(size)
        ]
        self._sent.setdefault(contract, []).extend(rows)
        return [dict(row) for row in rows]

    def _again(self, contract: str, now: datetime) -> Row:
        sent = self._sent.get(contract)
        if not sent:
            return self._new(contract, now)
        row = dict(self.random.choice(sent))
        if self.random.random() < 0.5:
            # A retry that carries another time, maybe on another day.
            row["occurred_at"] = self._moment(now)
        return row

    def _moment(self, now: datetime) -> datetime:
        kind = self.random.random()
        if kind < 0.70:
            return now - timedelta(seconds=self.random.randrange(3 * 3600))
        if kind < 0.92:
            return now - timedelta(seconds=self.random.randrange(2 * 86400))
        if kind < 0.95:
            return now + timedelta(days=self.random.randrange(1, 400))
        if kind < 0.97:
            return datetime(1970, 1, 1, tzinfo=UTC)
        return now - timedelta(days=self.random.choice([40, 250]))

    def _new(self, contract: str, now: datetime) -> Row:
        pick = self.random.choice
        self._next += 1
        tenant = pick(["acme", "globex", "o'neil & söhne/50%"])
        row: Row = {
            "tenant_id": tenant,
            "occurred_at": self._moment(now),
            "user_id": pick([None, "u1", "u2", "u3"]),
            "session_id": f"s{self.random.randrange(12)}",
            "site_id": pick([None, "ico-001", "ico-002", "nowhere"]),
        }
        if contract == "clickstream":
            row |= {
                "event_id": f"c{self._next}",
                "event_type": pick(["page_view", "page_view", "click", "scroll", "stare"]),
                "page_type": pick([None, "homepage", "presale"]),
                "page_url": "https://solarswap.example/presale",
                "referrer": pick([None, "https://www.google.com/", "https://solarswap.example/"]),
                "country": pick(["US", "DE", None]),
                "device_type": pick(["desktop", "mobile", None]),
                "page_load_time": pick([None, self.random.random() * 4]),
                "utm_medium": pick([None, None, "cpc"]),
            }
        elif contract == "conversions":
            kind = pick(["wallet_connect", "token_purchase", "presale_participate", "gift"])
            paid = kind in ("token_purchase", "presale_participate")
            amount = Decimal(self.random.randrange(10_000, 1_000_000)) / 100
            row |= {
                "conversion_id": f"v{self._next}",
                "user_id": pick(["u1", "u2", "u3"]),
                "conversion_type": kind,
                "amount_usd": amount if paid else None,
                "token_amount": amount * 3 if paid else None,
                "payment_method": pick(["ETH", "BTC"]) if paid else None,
            }
        elif contract == "registrations":
            row |= {
                "registration_id": f"r{self._next}",
                "user_id": pick(["u1", "u2", "u3"]),
                "social_handles": {"x": "@a"},
                "kyc_completed": pick([True, False, None]),
            }
        elif contract == "ad_events":
            row |= {
                "event_id": f"a{self._next}",
                "campaign_id": "spring_sale",
                "channel": pick(["email", "tiktok", "radio"]),
                "event": "click",
                "cost": Decimal("0.5000"),
            }
            del row["session_id"], row["site_id"]
        else:
            del row["site_id"]
            row |= self._product()
        return row

    def _product(self) -> Row:
        pick = self.random.choice
        shown = {"experiment_id": "onboarding_checklist", "variant": pick(["control", "checklist"])}
        return {
            "event_id": f"p{self._next}",
            "event_type": pick(
                [
                    "message",
                    "message_reply",
                    "experiment_exposure",
                    "checklist_completed",
                    "search",
                    "identify",
                    "alias",
                ]
            ),
            "channel": pick(["web", "mobile", "chat", "server", None]),
            "device_id": pick(["d1", "d2", f"d{self._next}", None]),
            "screen_name": pick([None, "market", "wallet", "news"]),
            "conversation_id": pick([None, "c1", "c2", f"c{self._next // 9}"]),
            "properties": json.dumps({"bot": pick([True, False]), "previousId": "d2", **shown}),
        }


CONTRACTS = ("clickstream", "conversions", "registrations", "ad_events", "app_events")


SPINE = (
    "+fct_funnel +fct_metrics_60m +fct_revenue_daily +int_sessions "
    "stg_ad_events stg_app_events stg_rejected_events +rpt_data_quality_daily +rpt_freshness"
)
"""One model of each way to follow events: enough for what a build does whatever it builds."""


@pytest.fixture
def lake(tmp_path: Path) -> TestLake:
    """An empty lake."""
    return TestLake(tmp_path / "one")


@pytest.fixture
def spine(tmp_path: Path) -> TestLake:
    """An empty lake whose builds are those of a few models."""
    return TestLake(tmp_path / "one", models=SPINE)


@pytest.fixture(scope="module")
def make_lake(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], TestLake]:
    """Makes empty lakes that the tests of a module share."""
    return lambda: TestLake(tmp_path_factory.mktemp("lake") / "one")


@pytest.fixture
def same_tables() -> Callable[..., None]:
    """Compares every silver and gold table of two lakes."""
    return assert_same_tables


@pytest.fixture
def chance() -> type[Chance]:
    """Makes random events by seed."""
    return Chance


@pytest.fixture
def feed() -> Callable[[TestLake, Chance, int], None]:
    """Adds a random batch of each kind of event to bronze, in one to three commits."""

    def add(lake: TestLake, chance: Chance, size: int) -> None:
        for _ in range(chance.random.randrange(1, 4)):
            for contract in CONTRACTS:
                count = chance.random.randrange(size + 1)
                lake.add(contract, chance.batch(contract, lake.now, count), minutes=7)
        lake.now += timedelta(hours=chance.random.randrange(20))

    return add


@pytest.fixture
def page_view() -> Callable[..., Row]:
    """A page view with the fields that a test does not care about filled in."""

    def make(event_id: str, occurred_at: datetime, **fields: Any) -> Row:
        return {
            "tenant_id": "acme",
            "event_id": event_id,
            "session_id": "s1",
            "event_type": "page_view",
            "page_type": "homepage",
            "occurred_at": occurred_at,
            **fields,
        }

    return make


@pytest.fixture
def day() -> Callable[[int], date]:
    """The n-th day of March 2026."""
    return lambda number: date(2026, 3, number)
