"""Spark with Kafka and Delta, in a folder of its own: never in lakeward's environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.rig.fetched import do, fetched, venv
from tests.kafka_servers.distribution import java

SPARK: Final = "4.0.0"
DELTA: Final = "4.0.0"
POM: Final = Path(__file__).with_name("spark.pom.xml")


@dataclass(frozen=True, slots=True)
class SparkHome:
    """Where Spark is."""

    python: Path
    """The interpreter that has pyspark."""
    jars: Path
    """The folder with the jars for Kafka and Delta."""


def spark_home() -> SparkHome:
    """Return Spark from the cache, fetching it from PyPI and Maven Central when it is not there.

    Raises:
        RuntimeError: it cannot be fetched; with what pip or Maven said.
        KafkaUnavailableError: there is no Java 17 or newer.
    """
    java()
    folder = fetched(f"spark-{SPARK}-delta-{DELTA}", _fetch)
    return SparkHome(folder / "venv" / "bin" / "python", folder / "jars")


def _fetch(folder: Path) -> None:
    do(
        "mvn",
        "--batch-mode",
        "--quiet",
        f"--file={POM}",
        f"-Dspark.version={SPARK}",
        f"-Ddelta.version={DELTA}",
        f"-DoutputDirectory={folder / 'jars'}",
        "-DincludeScope=runtime",
        "dependency:copy-dependencies",
    )
    venv(folder / "venv", f"pyspark=={SPARK}")
