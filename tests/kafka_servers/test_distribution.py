"""Without Java or Maven Central the suite says so in one line, or fails where it is required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kafka_servers.distribution import KafkaUnavailableError, cache_dir, jars, java

ROOT = Path(__file__).parents[2]
ROUND_TRIP = "tests/ingest/test_broker.py::test_what_is_produced_is_consumed_as_it_was"


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def run_suite_without_java(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program(tmp_path / "bin", "nothing", "exit 1")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEWARD_", "JAVA_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", ROUND_TRIP],
        cwd=ROOT,
        env={**kept, "PATH": str(tmp_path / "bin"), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_without_java_the_suite_passes_and_says_what_was_left_out(tmp_path: Path) -> None:
    done = run_suite_without_java(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(lines) == 1
    assert "tests on Apache Kafka are left out: Java 17 or newer is not installed" in lines[0]
    assert "apt-get install openjdk-17-jre-headless" in lines[0]


def test_without_java_the_suite_fails_where_apache_kafka_is_required(tmp_path: Path) -> None:
    done = run_suite_without_java(tmp_path, LAKEWARD_REQUIRE_APACHE_KAFKA="1")
    assert done.returncode == 1
    assert "LAKEWARD_REQUIRE_APACHE_KAFKA is set, but" in done.stdout
    assert "Java 17 or newer is not installed" in done.stdout


def test_a_kafka_of_ones_own_that_does_not_answer_is_a_failure_not_a_skip(tmp_path: Path) -> None:
    done = run_suite_without_java(tmp_path, LAKEWARD_TEST_KAFKA="no-such-host.invalid:9092")
    assert done.returncode == 1
    assert "LAKEWARD_TEST_KAFKA=no-such-host.invalid:9092: cannot reach Kafka" in done.stdout


def test_an_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(KafkaUnavailableError, match="is Java 11, and Kafka needs 17 or newer"):
        java()


def test_maven_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEWARD_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(KafkaUnavailableError, match="apt-get install maven"):
        jars()


def test_a_fetch_that_fails_gives_its_reason_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "mvn", "echo '[ERROR] Unknown host repo.maven.apache.org'; exit 1")
    monkeypatch.setenv("LAKEWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(KafkaUnavailableError, match="Unknown host repo"):
        jars()
    assert [p.name for p in cache_dir().iterdir() if p.is_dir()] == []


def test_a_fetch_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "mvn", "exec sleep 60")
    monkeypatch.setenv("LAKEWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr("tests.kafka_servers.distribution.FETCH_TIMEOUT_S", 0.2)
    with pytest.raises(KafkaUnavailableError, match="is there a way to the internet"):
        jars()
    assert [p.name for p in cache_dir().iterdir() if p.is_dir()] == []
