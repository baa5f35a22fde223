"""Spark with Kafka and Delta, in a folder of its own: fetched once, never in lakeward's venv."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.rig.progress import say
from tests.kafka_servers.distribution import cache_dir, java

SPARK: Final = "4.0.0"
DELTA: Final = "4.0.0"
POM: Final = Path(__file__).with_name("spark.pom.xml")
TIMEOUT_S: Final = 900


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
    folder = cache_dir() / f"spark-{SPARK}-delta-{DELTA}"
    found = SparkHome(folder / "venv" / "bin" / "python", folder / "jars")
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"fetching the jars for Kafka and Delta {DELTA} from Maven Central (once)")
        _do(
            shutil.which("mvn") or "mvn",
            "--batch-mode",
            "--quiet",
            f"--file={POM}",
            f"-Dspark.version={SPARK}",
            f"-Ddelta.version={DELTA}",
            f"-DoutputDirectory={found.jars}",
            "-DincludeScope=runtime",
            "dependency:copy-dependencies",
        )
        say(f"fetching pyspark {SPARK} from PyPI (450 MB, once)")
        _do(sys.executable, "-m", "venv", str(folder / "venv"))
        pip = (str(found.python), "-m", "pip", "install", "--quiet")
        _do(*pip, f"pyspark=={SPARK}")
        ready.touch()
    return found


def _do(*command: str) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise RuntimeError(f"{command[0]} is not installed, and Spark needs it") from None
    except subprocess.CalledProcessError as error:
        said = f"{error.stdout}\n{error.stderr}"[-1500:]
        raise RuntimeError(f"Spark cannot be fetched: {' '.join(command[:5])}: {said}") from None
