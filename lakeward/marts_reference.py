"""The page of the marts, ``docs/reference/marts.md``, from the yml files beside the models.

Read from the files and not from dbt's manifest, which takes seconds to make; a test holds the two
together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lake.dbt_run import PROJECT
from serving.metric import DefinedMetric, load_metrics

_DOCS: Final = re.compile(r"{%\s*docs (\w+)\s*%}(.*?){%\s*enddocs\s*%}", re.DOTALL)
_DOC: Final = re.compile(r"{{\s*doc\('(\w+)'\)\s*}}")
_HEADER: Final = """\
# The marts

Every table of gold, from the descriptions in `dbt_project/models/gold/*.yml`, and the metrics that
are added up of its rows, from `dbt_project/models/semantic/*.yml`. `make docs` writes this page.

How they are made: [the models](../concepts/models.md), [increments](../concepts/increments.md).
How to ask them: [queries](../guides/query.md). The rules that all of them keep:
[gold](../../dbt_project/models/gold/README.md).
"""


@dataclass(frozen=True, slots=True)
class ColumnDocument:
    """One column as the project describes it."""

    name: str
    data_type: str
    description: str


@dataclass(frozen=True, slots=True)
class ModelDocument:
    """One model as the project describes it."""

    layer: str
    name: str
    owner: str
    description: str
    columns: tuple[ColumnDocument, ...]
    shown_by: tuple[str, ...]
    """Labels of the exposures that depend on it."""


def project_documents(project: Path = PROJECT) -> list[ModelDocument]:
    """Return the models of ``project`` by name, ``{{ doc() }}`` put in."""
    models = project / "models"
    docs = {
        name: text.strip()
        for page in models.rglob("*.md")
        for name, text in _DOCS.findall(page.read_text(encoding="utf-8"))
    }
    shown = _exposures(models)
    found = []
    for path in sorted(models.glob("*/**/*.yml"), key=lambda path: path.stem):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for model in document.get("models") or ():
            found.append(_model(path.relative_to(models).parts[0], model, docs, shown))
    return found


def _exposures(models: Path) -> dict[str, list[str]]:
    document = yaml.safe_load((models / "exposures.yml").read_text(encoding="utf-8"))
    shown: dict[str, list[str]] = {}
    for exposure in document["exposures"]:
        for reference in exposure["depends_on"]:
            shown.setdefault(reference.split("'")[1], []).append(exposure["label"])
    return shown


def _model(
    layer: str,
    model: Mapping[str, Any],
    docs: Mapping[str, str],
    shown: Mapping[str, list[str]],
) -> ModelDocument:
    def said(node: Mapping[str, Any]) -> str:
        return _DOC.sub(lambda match: docs[match[1]], str(node.get("description", ""))).strip()

    columns = tuple(
        ColumnDocument(column["name"], str(column.get("data_type", "")), said(column))
        for column in model["columns"]
    )
    owner = model.get("config", {}).get("meta", {}).get("owner", "")
    name = str(model["name"])
    return ModelDocument(layer, name, owner, said(model), columns, tuple(shown.get(name, ())))


def marts_reference(project: Path = PROJECT) -> str:
    """Return the page, in Markdown."""
    gold = [model for model in project_documents(project) if model.layer == "gold"]
    metrics = load_metrics(project).values()
    return "\n".join([_HEADER, *(_section(model, metrics) for model in gold)])


def _section(model: ModelDocument, metrics: Iterable[DefinedMetric]) -> str:
    lines = [
        f"## {model.name}",
        "",
        " ".join(model.description.split()),
        "",
        f"Owner: {model.owner}. Shown in: {', '.join(model.shown_by)}.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
    ]
    for column in model.columns:
        meaning = " ".join(column.description.split()).replace("|", "\\|")
        lines.append(f"| `{column.name}` | {column.data_type} | {meaning} |")
    mine = [metric for metric in metrics if model.name in metric.texts]
    if mine:
        lines += ["", "| metric | adds up | meaning |", "|---|---|---|"]
    lines += [f"| `{one.name}` | `{one.texts[model.name]}` | {one.about} |" for one in mine]
    return "\n".join([*lines, ""])
