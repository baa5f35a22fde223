"""Where on this machine is what the compose file names: ports, services, folders of containers."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from tests.compose.file import ROOT, Service
from tests.kafka_servers.distribution import jars, java
from tests.ports import free_ports

PROGRAMS: Final = Path(sys.executable).parent
"""Where lakeward's commands are, and those of what it is made of."""
SAY_THEIR_NAME: Final = {"code", "seaweedfs"}
"""Services that are told in their own command by which name the others find them."""


class Places:
    """Translates the words of a service into what they mean without its container."""

    def __init__(
        self,
        folder: Path,
        services: Mapping[str, Service],
        known_ports: Mapping[tuple[str, int], int],
    ) -> None:
        """Take the folder for volumes, the services, and ports that are not to be chosen here."""
        self._folder = folder
        self._services = services
        inside = [(one.name, port) for one in services.values() for port in one.ports]
        self._ports = dict(zip(inside, free_ports(len(inside)), strict=True)) | dict(known_ports)

    def port(self, name: str, port: int) -> int:
        """Return the port of 127.0.0.1 that stands for one of a service's container."""
        return self._ports[name, port]

    def home(self, service: Service) -> Path:
        """Return the folder that stands for the working directory of the container."""
        written = [path for path, source in service.volumes.items() if not _is_ours(source)]
        return self._volume(service.volumes[written[0]]) if written else self._folder

    def here(self, service: Service, text: str, *, is_of_file: bool = True) -> str:
        """Return ``text`` of a service with the ports, hosts and paths that are here.

        Args:
            service: whose container the text is for.
            text: a word of a command, or the value of a variable.
            is_of_file: it is written for this service in the file, so that a lone number may be
                its port; false for ``.env``, which all services share.
        """
        paths = self._paths(service)
        parts = [
            rf"(?P<host>\b(?:{'|'.join(self._services)})):(?P<port>\d+)\b",
            rf"(?P<path>(?<![\w./])(?:{'|'.join(map(re.escape, paths))})(?![\w.]))",
            r"(?P<all>\b0\.0\.0\.0\b)",
        ]
        if is_of_file and service.ports:
            parts.append(rf"(?P<own>(?<![\d.])(?:{'|'.join(map(str, service.ports))})(?!\d))")
        if is_of_file and service.name in SAY_THEIR_NAME:
            parts.append(rf"(?P<name>\b{service.name}\b)")

        def translated(found: re.Match[str]) -> str:
            words = {name: word for name, word in found.groupdict().items() if word is not None}
            if "host" in words:
                return f"127.0.0.1:{self.port(words['host'], int(words['port']))}"
            if "path" in words:
                return str(paths[words["path"]])
            if "own" in words:
                return str(self.port(service.name, int(words["own"])))
            return "127.0.0.1"

        return re.sub("|".join(parts), translated, text)

    def _paths(self, service: Service) -> dict[str, Path]:
        paths = {path: self._volume(source) for path, source in service.volumes.items()}
        return {
            "/opt/lakeward/docker": ROOT / "docker",
            "/opt/lakeward/bin": PROGRAMS,
            "/opt/kafka/bin": self._kafka_programs(),
            "/tmp": self._made("tmp", service.name),
            **paths,
        }

    def _volume(self, source: str) -> Path:
        if not _is_ours(source):
            return self._made("volumes", source)
        place = self._folder / "mounted" / source.removeprefix("./")
        if not place.exists():
            shutil.copytree(ROOT / source, place)
            config = place / "prometheus.yml"
            if config.exists():
                config.write_text(self._scraped_here(config.read_text()))
        return place

    def _made(self, *names: str) -> Path:
        place = self._folder.joinpath(*names)
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _scraped_here(self, written: str) -> str:
        """Return Prometheus' configuration with the targets that are here, asked each second.

        There is no DNS that knows the services, so each name becomes a target.
        """
        document = yaml.safe_load(written)
        document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in document["scrape_configs"]:
            found = [
                (name, one["port"])
                for one in job.pop("dns_sd_configs", ())
                for name in one["names"]
            ]
            for group in job.pop("static_configs", ()):
                found += [
                    (name, int(port))
                    for name, _, port in (t.partition(":") for t in group["targets"])
                ]
            job["static_configs"] = [
                {"targets": [f"127.0.0.1:{self.port(name, port)}" for name, port in found]}
            ]
        return yaml.safe_dump(document)

    def _kafka_programs(self) -> Path:
        """Return a folder with the script of Kafka's distribution that the file names."""
        folder = self._made("kafka-bin")
        script = folder / "kafka-cluster.sh"
        if not script.exists():
            command = f"exec {java()} -cp '{jars()}/*' org.apache.kafka.tools.ClusterTool"
            script.write_text(f'#!/bin/sh\n{command} "$@"\n')
            script.chmod(0o755)
        return folder


def _is_ours(source: str) -> bool:
    """Is it a folder of the repository, and no volume?"""
    return source.startswith("./")
