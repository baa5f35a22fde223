"""The metrics of the marts as dbt's project defines them: what is added up, its name, its meaning.

They stand in ``dbt_project/models/semantic/*.yml``, in dbt's own format, and nowhere else:
Superset, the reference of the marts and the tests of the dashboard take them from here. They are
read from the files and not from dbt's manifest, which takes seconds to make; a test holds the two
together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from lake.dbt_run import PROJECT
from serving.errors import MetricError

FOLDER: Final = "semantic"
AGGREGATES: Final = {
    "sum": "sum",
    "max": "max",
    "min": "min",
    "average": "avg",
    "count": "count",
    "sum_boolean": "count_if",
}
"""dbt's names of the aggregates that a measure may have here: DuckDB's."""

_AGGREGATE: Final = rf"(?:{'|'.join(AGGREGATES.values())})\(\w+\)"
_FORM: Final = re.compile(rf"{_AGGREGATE}(?: / {_AGGREGATE})?")
_MART: Final = re.compile(r"ref\('(\w+)'\)")


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that is added up over rows of one table."""

    name: str
    text: str
    """An aggregate of a column, such as ``sum(spend_usd)``, or one of them over another."""
    label: str = ""
    """How people read it; empty where nobody said."""
    about: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(re.findall(r"\((\w+)\)", self.text))

    @property
    def sql(self) -> str:
        """DuckDB's SQL; a ratio over nothing is null, as in the marts."""
        upper, slash, lower = self.text.partition(" / ")
        return f"{upper} / nullif({lower}, 0)" if slash else upper

    @property
    def measured(self) -> str:
        """The name whose ending tells the unit: the column's, or for a ratio the metric's own."""
        return self.columns[0] if len(self.columns) == 1 else self.name


@dataclass(frozen=True, slots=True)
class DefinedMetric:
    """A metric of dbt's project."""

    name: str
    label: str
    about: str
    mart: str
    """The mart of its semantic model."""
    texts: Mapping[str, str] = field(repr=False)
    """Every mart that has the same number, its own first: what is added up there."""

    def of(self, mart: str) -> Metric:
        """Return the metric over the rows of ``mart``.

        Raises:
            MetricError: the mart does not have this number.
        """
        text = self.texts.get(mart)
        if text is None:
            raise MetricError(
                f"{mart} does not have the metric {self.name}",
                hint=f"it is a number of {', '.join(self.texts)}",
            )
        return Metric(self.name, text, self.label, self.about)


def is_metric(text: str) -> bool:
    """Tell whether ``text`` is an aggregate of a column, or one over another."""
    return _FORM.fullmatch(text) is not None


def load_metrics(project: Path = PROJECT) -> dict[str, DefinedMetric]:
    """Return the metrics of ``project`` by name: those of a measure, then the ratios of them.

    Raises:
        MetricError: a file says something that this reader does not know.
    """
    documents = [
        (path, yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in sorted((project / "models" / FOLDER).glob("*.yml"))
    ]
    found: dict[str, DefinedMetric] = {}
    for path, document in documents:
        for model in document["semantic_models"]:
            found |= {one.name: one for one in _simple(model, path)}
    ratios = [
        _ratio(metric, found, path)
        for path, document in documents
        for metric in document.get("metrics") or ()
    ]
    return found | {one.name: one for one in ratios}


def _simple(model: Mapping[str, Any], path: Path) -> Iterator[DefinedMetric]:
    named = _MART.fullmatch(model["model"])
    if named is None:
        raise MetricError(f"{path}: {model['name']} is of no model: {model['model']}")
    for measure in model["measures"]:
        aggregate = AGGREGATES.get(measure["agg"])
        if aggregate is None or not measure.get("create_metric"):
            raise MetricError(
                f"{path}: the measure {measure['name']} is no metric",
                hint=f"it needs create_metric, and one of: {', '.join(AGGREGATES)}",
            )
        elsewhere = measure.get("config", {}).get("meta", {}).get("also_in", {})
        columns = {named[1]: measure["expr"], **elsewhere}
        texts = {mart: f"{aggregate}({column})" for mart, column in columns.items()}
        about = " ".join(measure["description"].split())
        yield DefinedMetric(measure["name"], measure["label"], about, named[1], texts)


def _ratio(
    metric: Mapping[str, Any], known: Mapping[str, DefinedMetric], path: Path
) -> DefinedMetric:
    parts = metric["type_params"]
    try:
        upper, lower = known[parts["numerator"]], known[parts["denominator"]]
    except KeyError as error:
        raise MetricError(
            f"{path}: {metric['name']} is no ratio of two metrics that a measure makes"
        ) from error
    texts = {
        mart: f"{text} / {lower.texts[mart]}"
        for mart, text in upper.texts.items()
        if mart in lower.texts
    }
    about = " ".join(metric["description"].split())
    return DefinedMetric(metric["name"], metric["label"], about, upper.mart, texts)
