"""The documentation is held to the code: links, commands, images."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import typer
import typer.cli

from ingest.collector import metrics as collector
from lake.dead_letters.outcome import REPLAY_REASONS
from lake.writer import metrics as writer
from lakeward.__main__ import build_app
from lakeward.mending_reference import mending_reference, mending_schema
from lakeward.metrics_reference import metrics_reference
from lakeward.reference import cli_reference
from serving.watch import metrics as watched

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    ROOT / line
    for line in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    if (ROOT / line).exists()
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def command_names(app: typer.Typer) -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        if not (page.parent / target.split("#")[0]).exists():
            broken.append(target)
    assert broken == []


def test_the_command_reference_is_what_the_program_says() -> None:
    written = (ROOT / "docs/reference/cli.md").read_text()
    assert written == cli_reference(), "run `make docs`"


def test_every_metric_that_a_page_names_exists() -> None:
    definitions = (*writer.DEFINITIONS, *collector.DEFINITIONS, *watched.DEFINITIONS)
    defined = {one.name for one in definitions}
    for page in PAGES:
        named = set(
            re.findall(r"\blakeward_(?:writer|collector|build|lake)_[a-z_]+\b", page.read_text())
        )
        assert named <= defined, page


def test_the_reference_of_metrics_is_what_is_served() -> None:
    written = (ROOT / "docs/reference/metrics.md").read_text()
    assert written == metrics_reference(), "run `make docs`"


def test_the_reference_of_mending_is_what_the_program_takes() -> None:
    folder = ROOT / "docs/reference"
    assert (folder / "mending.md").read_text() == mending_reference(), "run `make docs`"
    assert (folder / "mending.schema.json").read_text() == mending_schema(), "run `make docs`"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CHANGELOG.md"],  # which may name what is gone
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_every_lakeward_command_that_a_page_shows_exists(page: Path) -> None:
    shown = re.findall(r"(?:^|[`\s/])lakeward ([a-z][a-z-]+)(?=[`\s]|$)", _code(page.read_text()))
    assert set(shown) <= command_names(build_app())


def _code(text: str) -> str:
    """What stands in code: fenced, indented or between backticks."""
    inline = re.findall(r"`[^`\n]+`", text)
    fenced = [m.group(0) for m in FENCE.finditer(text)]
    indented = re.findall(r"^    \S.*$", text, re.MULTILINE)
    return "\n".join(inline + fenced + indented)


def test_every_make_verb_that_a_page_shows_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    for page in PAGES:
        shown = set(re.findall(r"\bmake ([a-z]+)\b", _code(page.read_text())))
        assert shown <= verbs, page


def test_every_image_is_shown_somewhere() -> None:
    shown = {Path(t).name for page in PAGES for t in LINK.findall(page.read_text())}
    images = {p.name for p in (ROOT / "docs").rglob("*") if p.suffix in {".png", ".svg"}}
    assert images <= shown


def test_each_reason_why_a_replay_fails_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guides" / "dead-letters.md").read_text()
    assert REPLAY_REASONS
    assert [reason for reason in REPLAY_REASONS if f"| `{reason}` | " not in guide] == []
