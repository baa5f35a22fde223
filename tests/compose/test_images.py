"""The Dockerfiles, as far as they can be held to the repository without a builder."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.compose.file import FILE, ROOT, Service, services

OURS: Final = ROOT / "docker/Dockerfile"
SUPERSET: Final = ROOT / "docker/superset/Dockerfile"
IMAGES: Final = {"lakeward": OURS, "lakeward-superset": SUPERSET}
both = pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())


def instructions(image: Path, name: str) -> list[str]:
    """Return what follows each instruction of a name, on one line."""
    lines = image.read_text().replace("\\\n", " ").splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


def copied(image: Path) -> list[tuple[str, str]]:
    """Return each source in the repository with its place in the image."""
    found = []
    for line in instructions(image, "COPY"):
        *sources, place = line.split()
        if not sources[0].startswith("--from="):
            found += [(source, place) for source in sources]
    return found


def project() -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return document


def built_here() -> list[tuple[Service, Path]]:
    """Return the services whose image is built here, with its Dockerfile."""
    known = services({}).values()
    named = [(one, one.image.partition(":")[0]) for one in known]
    return [(one, IMAGES[name]) for one, name in named if name in IMAGES]


def allowed() -> set[str]:
    """Return the patterns of what is sent to the builder."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return {line.removeprefix("!") for line in lines if line.startswith("!")}


@both
def test_everything_that_is_copied_exists_and_is_sent_to_the_builder(image: Path) -> None:
    sources = [source for source, _ in copied(image)]
    assert sources
    for source in sources:
        if source == ".":
            continue
        assert any(ROOT.glob(source)), source
        assert any(fnmatch(source.partition("/")[0], one) for one in allowed()), source


def test_lakeward_is_built_from_the_lock_with_everything_the_wheel_needs() -> None:
    assert OURS.read_text().count("uv sync --frozen --no-dev") == 2
    needed = {
        *project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
        *project()["project"]["license-files"],
        *(project()["project"]["readme"], "pyproject.toml", "uv.lock", "docker"),
    }
    assert {n for n in needed if not any(fnmatch(n, one) for one in allowed())} == set()


def test_superset_is_built_from_its_lock() -> None:
    assert "--require-hashes --requirement /src/requirements.txt" in SUPERSET.read_text()
    assert ("serving/superset/requirements.txt", "/src/requirements.txt") in copied(SUPERSET)


def test_both_are_built_on_the_same_release_of_a_python_that_lakeward_runs_on() -> None:
    (ours,), (superset,) = (instructions(image, "ARG") for image in IMAGES.values())
    assert ours == superset
    release = re.fullmatch(r"PYTHON_IMAGE=python:(\d+\.\d+\.\d+)-slim-bookworm", ours)
    assert release is not None
    assert release[1] in SpecifierSet(project()["project"]["requires-python"])
    for image in IMAGES.values():
        assert {line.split()[0] for line in instructions(image, "FROM")} == {"${PYTHON_IMAGE}"}


def test_what_a_service_runs_is_a_program_of_its_image() -> None:
    """That is: of lakeward or of a package that it names; others may be gone tomorrow."""
    named = {Requirement(text).name for text in project()["project"]["dependencies"]}
    ours = {canonicalize_name(name) for name in (*named, project()["project"]["name"])}
    programs = {
        script.name
        for script in entry_points(group="console_scripts")
        if script.dist is not None and canonicalize_name(script.dist.name) in ours
    }
    for service, image in built_here():
        command = service.command or tuple(json.loads(instructions(image, "CMD")[0]))
        for words in (command, service.healthcheck):
            if words and words[0] != "python":
                assert image == OURS, "the packages of Superset's are not installed here"
                assert words[0] in programs, service.name
    assert "dagster" in programs, "docker/start_code_server.py becomes it"
    assert "\ngunicorn==" in (ROOT / "serving/superset/requirements.txt").read_text()


def test_scripts_that_are_run_are_in_the_image() -> None:
    named = set(re.findall(r"/opt/lakeward/docker/(\S+?\.py)", FILE.read_text()))
    assert named == {path.name for path in (ROOT / "docker").glob("*.py")}
    assert ("docker/*.py", "/opt/lakeward/docker/") in copied(OURS)
    (command,) = instructions(SUPERSET, "CMD")
    folder, _, script = json.loads(command)[1].rpartition("/")
    assert ("serving/superset/inside", folder) in copied(SUPERSET)
    assert (ROOT / "serving/superset/inside" / script).is_file()


@both
def test_a_user_that_is_not_root_owns_what_its_services_write(image: Path) -> None:
    assert instructions(image, "USER") == ["lakeward"]
    (made,) = [line for line in instructions(image, "RUN") if line.startswith("groupadd")]
    assert "--gid 10001 lakeward" in made, "both images read the same volume"
    assert "--uid 10001 --gid lakeward" in made
    owned = shlex.split(made.partition("install --directory --owner=lakeward --group=lakeward ")[2])
    mounted = {path for service, of in built_here() if of == image for path in service.volumes}
    assert mounted == set(owned), "Docker gives an empty volume to the owner of the folder"
