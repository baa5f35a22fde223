"""``python -m tests.kafka_servers``: run the tests' Apache Kafka by hand until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.distribution import KAFKA_VERSION, KafkaUnavailableError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kafka_servers",
        description=f"Run Apache Kafka {KAFKA_VERSION} on a private port until Ctrl-C. "
        "Its address is printed; give it to KAFKA_BOOTSTRAP_SERVERS or LAKEWARD_TEST_KAFKA.",
    )
    parser.add_argument("--folder", type=Path, help="keep the data here; default: thrown away")
    folder: Path | None = parser.parse_args().folder
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="lakeward-kafka-") as scratch:
        try:
            kafka = ApacheKafka(folder or Path(scratch))
        except KafkaUnavailableError as error:
            sys.stderr.write(f"Apache Kafka cannot run here: {error}\n")
            return 2
        with kafka:
            sys.stdout.write(f"{kafka.bootstrap_servers}\n")
            sys.stdout.flush()
            ended.wait()
            kafka.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
