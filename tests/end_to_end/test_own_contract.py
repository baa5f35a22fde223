"""A user's own event type, as the guide tells it: one file, no code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.end_to_end.conftest import Lakeward
from tests.kafka_servers.topics import KafkaForTest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "add-a-contract.md"


def contract_of_the_guide() -> str:
    found = re.search(r"```yaml\n(apiVersion.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


def payment(number: int, **more: object) -> bytes:
    base = {
        "tenant_id": "acme",
        "payment_id": f"p{number}",
        "customer_id": "c1",
        "time": "2026-03-01T12:00:00Z",
        "status": "paid",
        "amount_usd": "19.90",
    }
    return json.dumps(base | more).encode()


def test_a_contract_in_a_folder_is_a_table_a_dead_letter_rule_and_a_clean_audit(
    lakeward_on_kafka: Lakeward, own_kafka: KafkaForTest, tmp_path: Path
) -> None:
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "payments.odcs.yaml").write_text(contract_of_the_guide())
    own = {"LAKEWARD_CONTRACTS_DIR": str(folder)}

    def run(*arguments: str) -> str:
        return lakeward_on_kafka(*arguments, **own)

    assert "payment-events" in run("contracts", "list")
    own_kafka.create_topic("payment-events", partitions=2)
    good = [(b"k", payment(n)) for n in range(7)]
    bad = [(b"k", b"{"), (b"k", payment(8, time=None)), (b"k", payment(9, color="red"))]
    own_kafka.produce("payment-events", good + bad)

    run("write", "--until-current", "--create-topics", "--contracts", "payments")
    rows = json.loads(
        run(
            "query",
            "select count(*) as events, sum(amount_usd) as usd, count(_rescued) as rescued "
            "from bronze.payments",
            "--format",
            "json",
        )
    )
    assert rows == [{"events": 8, "usd": 159.2, "rescued": 1}]
    dead = json.loads(
        run("query", "select reason from bronze.dead_letters order by 1", "--format", "json")
    )
    assert dead == [{"reason": "missing_required"}, {"reason": "not_json"}]
    assert "10 messages = 8 rows + 2 dead letters; 0 lost, 0 twice" in run("audit")
    assert "bronze.payments" in run("tables")
    run("check", "--layer", "bronze")
