"""How many messages a second one core decodes, and what broken and rescued ones cost.

CPU time of the whole process, so that another program on the machine counts little; the best of
several rounds, in which the cases take turns, over the same batches in memory. The last figures
are the floor: what parsing alone takes, without saying whether a value fits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa

from benchmarks.report import Figure, publish
from benchmarks.rig.clickstream import clickstream, with_faults
from ingest.contracts.registry import load_contracts
from lake.writer.decode import Decoder
from lake.writer.duckdb_batch import DuckdbBatch
from lake.writer.messages import Messages

MESSAGES = 200_000
BATCH = 50_000
ROUNDS = 5


def batches(values: Sequence[bytes]) -> list[Messages]:
    """Put the messages into batches as the writer has them."""
    return [_batch(values[at : at + BATCH], at) for at in range(0, len(values), BATCH)]


def _batch(values: Sequence[bytes], first: int) -> Messages:
    count = len(values)
    return Messages(
        topic="clickstream-events",
        topic_id="benchmark",
        partition=pa.array(np.zeros(count, np.int32)),
        offset=pa.array(np.arange(first, first + count)),
        appended_at=pa.array(np.arange(count)).cast(pa.timestamp("us", tz="UTC")),
        key=pa.nulls(count, pa.binary()),
        value=pa.array(values, pa.binary()),
    )


def rates(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return how many messages a second each does, in its best round."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            started = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - started)
    return {name: MESSAGES / seconds for name, seconds in best.items()}


def main() -> None:
    """Measure and publish."""
    contract = load_contracts(None).by_name("clickstream")
    clean = clickstream(MESSAGES, seed=1)
    nulls = [
        value.replace(b'"ico_', b'"experiment":null,"ico_') if n % 2 else value
        for n, value in enumerate(clean)
    ]

    def decoding(values: Sequence[bytes]) -> Callable[[], object]:
        decoder, polled = Decoder(contract, known_tenants=None), batches(values)
        return lambda: [decoder.decode(one) for one in polled]

    duckdb = DuckdbBatch(threads=1)
    types = json.dumps({field.payload_name: "VARCHAR" for field in contract.fields})
    transform = f"SELECT json_transform(v, '{types}') FROM batch"
    texts = pa.array(clean, pa.binary()).view(pa.string())
    found = rates(
        {
            "clean": decoding(clean),
            "nulls": decoding(nulls),
            "faults": decoding(with_faults(clean, seed=2)),
            "transform": lambda: duckdb.run(transform, texts),
            "orjson": lambda: [orjson.loads(value) for value in clean],
        }
    )
    unit, share = "messages/s", 100 * found["faults"] / found["clean"]
    publish(
        "decode",
        [
            Figure("message size", sum(map(len, clean)) / MESSAGES, "bytes"),
            Figure("decode, clean", found["clean"], unit, bar=300_000),
            Figure("decode, half with an explicit null", found["nulls"], unit),
            Figure("decode, 1 % broken and 5 % rescued", found["faults"], unit),
            Figure("1 % broken and 5 % rescued, against clean", share, "%", bar=60),
            Figure("floor: json_transform to text alone", found["transform"], unit),
            Figure("floor: orjson.loads alone", found["orjson"], unit),
        ],
    )
