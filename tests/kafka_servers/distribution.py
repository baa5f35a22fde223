"""Apache Kafka's jars on this machine: from the cache, or fetched once from Maven Central."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from ingest.cache_folder import cache_folder

KAFKA_VERSION = "4.3.1"
OLDEST_JAVA = 17
FETCH_TIMEOUT_S = 240
POM = Path(__file__).with_name("pom.xml")


class KafkaUnavailableError(Exception):
    """Apache Kafka cannot run here; the message is one line: why, and how to get it."""


def java() -> str:
    """Return the path of a Java that runs Kafka.

    Raises:
        KafkaUnavailableError: there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    get_it = "on Debian and Ubuntu: apt-get install openjdk-17-jre-headless"
    if found is None:
        raise KafkaUnavailableError(f"Java {OLDEST_JAVA} or newer is not installed ({get_it})")
    try:
        answer = subprocess.run(
            [found, "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise KafkaUnavailableError(f"{found} does not run: {error} ({get_it})") from error
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise KafkaUnavailableError(
            f"{found} is Java {version[1] if version else 'of an unknown version'}, and Kafka "
            f"needs {OLDEST_JAVA} or newer ({get_it})"
        )
    return found


def cache_dir() -> Path:
    """Return where fetched jars are kept: LAKEWARD_CACHE, or lakeward's folder in the cache."""
    named = os.environ.get("LAKEWARD_CACHE")
    if named:
        return Path(named)
    return cache_folder()


def jars(version: str = KAFKA_VERSION) -> Path:
    """Return the folder with the jars of Apache Kafka ``version``, fetching them when needed.

    Raises:
        KafkaUnavailableError: they are not in the cache and cannot be fetched.
    """
    of_pom = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    folder = cache_dir() / f"kafka-{version}-{of_pom}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():  # another test run may have fetched them while we waited
            _fetch(version, folder)
    return folder


def _fetch(version: str, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            "Maven is not installed to fetch Apache Kafka with (on Debian and Ubuntu: "
            "apt-get install maven)"
        )
    draft = Path(tempfile.mkdtemp(prefix=f"kafka-{version}-", dir=folder.parent))
    try:
        try:
            subprocess.run(
                [
                    maven,
                    "--batch-mode",
                    "--quiet",
                    f"--file={POM}",
                    f"-Dkafka.version={version}",
                    f"-DoutputDirectory={draft}",
                    "-Daether.connector.connectTimeout=10000",
                    "dependency:copy-dependencies",
                ],
                capture_output=True,
                text=True,
                timeout=FETCH_TIMEOUT_S,
                check=True,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise KafkaUnavailableError(
                f"Maven Central did not deliver Apache Kafka {version} in {FETCH_TIMEOUT_S} s "
                "(is there a way to the internet?)"
            ) from None
        except subprocess.CalledProcessError as error:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.stdout}\n{error.stderr}")
            first = next((line for line in plain.splitlines() if "ERROR" in line), "mvn failed")
            raise KafkaUnavailableError(
                f"Maven Central does not give Apache Kafka {version}: "
                f"{first.removeprefix('[ERROR]').strip()[:300]} (is there a way to the internet?)"
            ) from None
        if not any(draft.glob(f"kafka_*-{version}.jar")):
            raise KafkaUnavailableError(f"Maven fetched no jar of Apache Kafka {version}")
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
