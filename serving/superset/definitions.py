"""The dashboards as people write them: ``definitions/*.yaml``, read and checked for form.

A definition says which metric is shown by what, and where. Metrics are dbt's
(``serving/metric.py``), and so are names of columns, types, descriptions, titles of dashboards and
owners (``marts.py``): they are not written here again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from serving.errors import DefinitionError, MetricError
from serving.metric import DefinedMetric, Metric, is_metric, load_metrics
from serving.superset.marts import mart_names

FOLDER: Final = Path(__file__).parent / "definitions"

Kind = Literal[
    "comparison", "number", "trend", "lines", "areas", "bars", "funnel", "donut", "heatmap",
    "map", "table", "rows",
]  # fmt: skip
"""What a chart looks like. ``comparison`` is a number beside that of the period before, ``table``
adds up by dimensions, ``rows`` shows the mart's own rows."""

Grain = Literal["window", "minute", "hour", "day", "week", "month"]
"""How long a point of time is; ``window`` is the mart's own."""
FilterName = Literal["dates", "tenant", "site", "channel", "event_type", "contract"]


def _as_metrics(said: Any) -> Any:
    """Let ``people: sum(people)`` stand for a metric; one of dbt's is a metric already."""
    if not isinstance(said, dict):
        raise ValueError("metrics are a list of dbt's names, or of unpivoted rows a mapping")
    return {name: _as_metric(name, one) for name, one in said.items()}


def _as_metric(name: str, said: Any) -> Metric:
    if isinstance(said, Metric):
        return said
    if not isinstance(said, str) or not is_metric(said):
        raise ValueError("a metric is sum(column), max, min, avg, count, or a / b of these")
    return Metric(name, said)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Unpivot(_Strict):
    """Turns columns into rows, for a chart of steps; no number is changed."""

    name: str
    value: str
    columns: Mapping[str, str]
    """Column of the mart: what its rows are called."""


class Dataset(_Strict):
    """A mart, or the live view of one, and what is added up of it."""

    table: str
    """``gold.<mart>`` or ``live.<view>``."""
    time: str | None = None
    """The column that a range of dates means; None for what is of no time."""
    metrics: Annotated[Mapping[str, Metric], BeforeValidator(_as_metrics)] = Field(
        default_factory=dict
    )
    """In the file a list of dbt's names, or of unpivoted rows a mapping of names to sums."""
    unpivot: Unpivot | None = None

    @property
    def layer(self) -> str:
        """``gold`` or ``live``."""
        return self.table.partition(".")[0]

    def metric(self, name: str) -> Metric:
        """Return the metric called ``name``."""
        return self.metrics[name]


class Chart(_Strict):
    """One chart."""

    title: str
    kind: Kind
    of: str
    """The dataset."""
    show: tuple[str, ...] = ()
    """Metrics; for ``rows`` columns."""
    by: tuple[str, ...] = ()
    """Columns: what is told apart. A heatmap has two, across and down."""
    grain: Grain | None = None
    """What a point of time is: for trends, lines, areas and bars over time."""
    last: str | None = None
    """Only so much up to now, such as ``6 hours``, or ``now`` where the dataset has no time. Such a
    chart is live: the filter of dates leaves it alone, and it is asked again by itself."""
    where: Mapping[str, str] = Field(default_factory=dict)
    """Column: the value that is shown, such as one of two models of attribution."""
    limit: int = Field(default=1000, ge=1)
    is_stacked: bool = False
    is_less_better: bool = False
    """For a comparison: a rise is red."""
    width: int = Field(ge=2, le=12)

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        """Let ``show: visitors`` stand for ``show: [visitors]``."""
        if not isinstance(value, dict):
            return value
        return {
            k: (v,) if k in ("show", "by") and isinstance(v, str) else v for k, v in value.items()
        }


class Row(_Strict):
    """Charts beside each other, below a heading."""

    heading: str | None = None
    height: int = Field(ge=10, le=100)
    """In Superset's unit, 8 pixels."""
    charts: tuple[Chart, ...] = Field(min_length=1)


class Dashboard(_Strict):
    """One dashboard; its title, description and owner are those of dbt's exposure."""

    exposure: str
    filters: tuple[FilterName, ...]
    offered: Mapping[FilterName, str] = Field(default_factory=dict)
    """Filter: the dataset that gives its values, where it is not the one of most of its charts."""
    days: int = Field(default=28, ge=1)
    """What the filter of dates shows at first: so many days up to today."""
    refresh_seconds: int = 30
    """How often charts with ``last`` are asked again by themselves."""
    rows: tuple[Row, ...]

    def charts(self) -> Iterator[Chart]:
        """Yield its charts as they are read."""
        for row in self.rows:
            yield from row.charts

    @model_validator(mode="after")
    def _offers_what_it_shows(self) -> Self:
        unknown = set(self.offered.values()) - {chart.of for chart in self.charts()}
        if unknown:
            raise ValueError(f"offered names {', '.join(sorted(unknown))}, which no chart is of")
        return self


class Style(_Strict):
    """Colours and number formats."""

    palette: tuple[str, ...]
    sequential: tuple[str, ...]
    labels: Mapping[str, str]
    formats: Mapping[str, tuple[str, str]]

    def format(self, name: str) -> tuple[str, str]:
        """Return the d3 formats of a value and of an axis, by what ``name`` ends with."""
        for ending, formats in self.formats.items():
            if name.endswith(ending):
                return formats
        return ",d", ".3~s"


class Definitions(_Strict):
    """All that ``definitions/`` says."""

    datasets: Mapping[str, Dataset]
    dashboards: tuple[Dashboard, ...]
    style: Style

    def charts(self) -> Iterator[tuple[Dashboard, Chart]]:
        """Yield every chart with its dashboard."""
        for dashboard in self.dashboards:
            for chart in dashboard.charts():
                yield dashboard, chart


def read_definitions(folder: Path = FOLDER) -> Definitions:
    """Read a folder like ``definitions/``.

    Raises:
        DefinitionError: a file is no YAML, or something in it is not as it has to be.
    """
    pages = sorted((folder / "dashboards").glob("*.yaml"))
    said = _read(folder / "datasets.yaml")
    known = load_metrics()
    try:
        datasets = {name: _dataset(name, one, known) for name, one in said.items()}
    except MetricError as error:
        raise DefinitionError(
            f"{folder / 'datasets.yaml'}: {error.message}", hint=error.hint
        ) from error
    try:
        return Definitions.model_validate(
            {
                "datasets": datasets,
                "dashboards": [_read(page) for page in pages],
                "style": _read(folder / "style.yaml"),
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        page = pages[int(first["loc"][1])].name if first["loc"][0] == "dashboards" else ""
        raise DefinitionError(
            f"{folder / 'dashboards' / page if page else folder}: {where}: {first['msg']}",
            hint="serving/superset/README.md says what a definition may hold",
        ) from error


def _dataset(name: str, said: Any, known: Mapping[str, DefinedMetric]) -> Any:
    """Put in the metrics of dbt; a dataset without a table is called as its table is."""
    if not isinstance(said, dict):
        return said
    dataset = {"table": name, **said}
    listed = said.get("metrics")
    if isinstance(listed, list):
        dataset["metrics"] = {one: _defined(one, dataset["table"], known) for one in listed}
    return dataset


def _defined(name: str, table: str, known: Mapping[str, DefinedMetric]) -> Metric:
    metric = known.get(name)
    if metric is None:
        raise MetricError(
            f"{table}: dbt's project defines no metric {name}",
            hint="dbt_project/models/semantic/ has them; docs/reference/marts.md lists them",
        )
    for mart in mart_names(table):
        if mart in metric.texts:
            return metric.of(mart)
    return metric.of(table)


def _read(path: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DefinitionError(f"{path} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise DefinitionError(f"{path} is no mapping")
    return said
