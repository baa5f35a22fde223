"""Do the dashboards ask for what the marts have, and what would a change of a model break?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from serving.superset.definitions import Chart, Dashboard, Dataset, Definitions
from serving.superset.marts import Project
from serving.superset.native_filters import COLUMNS


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a definition names and dbt's project does not have."""

    where: str
    """The dashboard and chart, or the dataset."""
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Use:
    """A chart that stands on a model."""

    dashboard: str
    """The dashboard's title."""
    chart: str
    table: str
    columns: tuple[str, ...]
    """Of the mart, as far as the chart names them."""
    owner: str
    """Of the dashboard."""


def problems(definitions: Definitions, project: Project) -> list[Problem]:
    """Return what is wrong; an empty list when every chart has its dataset and columns."""
    return [
        *_of_datasets(definitions, project),
        *_of_charts(definitions, project),
        *_of_dashboards(definitions, project),
    ]


def impact(definitions: Definitions, project: Project, model: str) -> list[Use]:
    """Return the charts that a change of ``model`` reaches, by whatever way.

    ``model`` is the name of a model, a seed or a source's table.
    """
    found = []
    for dashboard, chart in definitions.charts():
        dataset = definitions.datasets[chart.of]
        mart = project.mart_of(dataset.table)
        if mart is not None and model in project.all_upstream(mart.name):
            exposure = project.exposures[dashboard.exposure]
            columns = tuple(sorted(columns_of(chart, dataset)))
            found.append(Use(exposure.label, chart.title, dataset.table, columns, exposure.owner))
    return found


def columns_of(chart: Chart, dataset: Dataset) -> set[str]:
    """Return the columns of the mart that a chart stands on."""
    named = {*chart.by, *chart.where, *(() if dataset.time is None else (dataset.time,))}
    steps = dataset.unpivot
    for shown in chart.show:
        named |= set(dataset.metric(shown).columns) if shown in dataset.metrics else {shown}
    if steps is not None:
        named = (named | set(steps.columns)) - {steps.name, steps.value}
    return named


def _of_datasets(definitions: Definitions, project: Project) -> Iterator[Problem]:
    used = {chart.of for _, chart in definitions.charts()}
    for name, dataset in definitions.datasets.items():
        where = f"dataset {name}"
        if name not in used:
            yield Problem(where, "no chart shows it")
        mart = project.mart_of(dataset.table)
        if mart is None:
            yield Problem(where, f"there is no mart {dataset.table}")
            continue
        made = {dataset.unpivot.name, dataset.unpivot.value} if dataset.unpivot else set()
        if dataset.time is not None and dataset.time not in mart.columns:
            yield Problem(where, f"{mart.name} has no column {dataset.time} (time)")
        for metric in map(dataset.metric, dataset.metrics):
            for column in metric.columns:
                if column not in mart.columns and column not in made:
                    yield Problem(
                        where, f"{mart.name} has no column {column} (metric {metric.name})"
                    )
        for column in dataset.unpivot.columns if dataset.unpivot else ():
            if column not in mart.columns:
                yield Problem(where, f"{mart.name} has no column {column} (unpivot)")


def _of_charts(definitions: Definitions, project: Project) -> Iterator[Problem]:
    for dashboard, chart in definitions.charts():
        where = f"{dashboard.exposure}, {chart.title!r}"
        dataset = definitions.datasets.get(chart.of)
        if dataset is None:
            yield Problem(where, f"there is no dataset {chart.of}")
            continue
        mart = project.mart_of(dataset.table)
        if mart is None:
            continue  # told of the dataset
        metrics = [shown for shown in chart.show if shown in dataset.metrics]
        if (chart.kind != "rows" and len(metrics) < len(chart.show)) or not chart.show:
            missing = sorted(set(chart.show) - set(metrics))
            yield Problem(where, f"the dataset {chart.of} has no metric {', '.join(missing)}")
        made = {dataset.unpivot.name, dataset.unpivot.value} if dataset.unpivot else set()
        columns = set(chart.show) - set(metrics) if chart.kind == "rows" else set()
        for column in sorted((columns | {*chart.by, *chart.where}) - made):
            if column not in mart.columns:
                yield Problem(where, f"{mart.name} has no column {column}")


def _of_dashboards(definitions: Definitions, project: Project) -> Iterator[Problem]:
    for dashboard in definitions.dashboards:
        exposure = project.exposures.get(dashboard.exposure)
        if exposure is None:
            yield Problem(dashboard.exposure, "dbt's project has no exposure of this name")
            continue
        titles = [chart.title for chart in dashboard.charts()]
        for title in sorted({title for title in titles if titles.count(title) > 1}):
            yield Problem(dashboard.exposure, f"two charts are called {title!r}")
        shown = _marts_of(definitions, project, dashboard)
        for name in sorted(shown - exposure.marts):
            yield Problem(dashboard.exposure, f"it shows {name}, which its exposure does not name")
        for name in sorted(exposure.marts - shown):
            yield Problem(dashboard.exposure, f"its exposure names {name}, which no chart shows")
        yield from _of_filters(definitions, project, dashboard)


def _of_filters(
    definitions: Definitions, project: Project, dashboard: Dashboard
) -> Iterator[Problem]:
    columns: set[str] = set()
    for name in _marts_of(definitions, project, dashboard):
        columns |= set(project.marts[name].columns)
    for one in dashboard.filters:
        if one != "dates" and COLUMNS[one][0] not in columns:
            yield Problem(dashboard.exposure, f"no chart has {COLUMNS[one][0]} for a filter")


def _marts_of(definitions: Definitions, project: Project, dashboard: Dashboard) -> set[str]:
    found = set()
    for chart in dashboard.charts():
        dataset = definitions.datasets.get(chart.of)
        mart = None if dataset is None else project.mart_of(dataset.table)
        if mart is not None:
            found.add(mart.name)
    return found
