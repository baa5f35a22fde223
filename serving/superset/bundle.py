"""Definitions and dbt's docs become the bundle that Superset imports.

The same input gives the same bytes: identities are uuid5 of names, so an import changes what is
there and never adds a second one. Nothing of it is kept in git (ADR 090).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

import yaml

from serving.errors import DefinitionError
from serving.superset.chart_params import params
from serving.superset.check import problems
from serving.superset.dashboard_layout import layout
from serving.superset.definitions import Chart, Dashboard, Dataset, Definitions, FilterName
from serving.superset.marts import Mart, Project
from serving.superset.native_filters import hears, label_of, native_filters
from serving.superset.query_context import query_context

NAMESPACE: Final = UUID("6f9f0c0e-3b34-5d6a-9d0c-5c8f2f1f7a11")
"""What all identities are made from; never to be changed."""
CERTIFIED_BY: Final = "lakeward"
"""Together with ``is_managed_externally`` it marks what a sync owns, and may remove."""
DATABASE: Final = "lakeward"

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_SHORT: Final = {"ctr", "cpc", "cpa", "usd", "dau", "wau", "mau", "p95", "arpu", "kyc"}
_NO_NOUNS: Final = ("ed", "unknown", "late", "future", "null", "slow", "1d", "7d", "30d")
"""What is counted is not always named by a noun that could stand in the plural."""


def identity(kind: str, name: str) -> UUID:
    """Return the identity of a database, dataset, chart or dashboard."""
    return uuid5(NAMESPACE, f"{kind}:{name}")


def label(name: str) -> str:
    """Return a metric's or column's name as people read it: ``spend_usd`` is ``Spend (USD)``."""
    unit = " (USD)" if name.endswith("_usd") else ""
    is_count = name.endswith("_count")
    words = name.removesuffix("_usd").removesuffix("_count").split("_")
    if is_count and not words[-1].endswith(_NO_NOUNS):
        words[-1] += "s"
    words = [word.upper() if word in _SHORT else word for word in words]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) + unit


@dataclass(frozen=True, slots=True)
class Bundle:
    """A rendered bundle."""

    files: dict[str, dict[str, Any]]
    """Path within the bundle: document."""

    def zipped(self) -> bytes:
        """Return the bundle as Superset's import takes it."""
        kept = io.BytesIO()
        with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, document in self.files.items():
                text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
                archive.writestr(zipfile.ZipInfo(f"lakeward/{path}", _EPOCH), text)
        return kept.getvalue()

    def uuids(self, kind: str) -> set[str]:
        """Return the identities of its ``charts``, ``dashboards``, ``datasets``."""
        return {d["uuid"] for path, d in self.files.items() if path.startswith(f"{kind}/")}


def render(definitions: Definitions, project: Project, database_uri: str) -> Bundle:
    """Return the bundle.

    Args:
        definitions: what is shown, and where.
        project: what dbt says of the marts.
        database_uri: SQLAlchemy's address of the catalog, as Superset reaches it.

    Raises:
        DefinitionError: a definition names what dbt's project does not have.
    """
    found = problems(definitions, project)
    if found:
        raise DefinitionError(
            "\n  ".join(str(one) for one in found), hint="lakeward superset check lists these"
        )
    return Bundle(dict(_Renderer(definitions, project).files(database_uri)))


@dataclass(frozen=True, slots=True)
class _Renderer:
    definitions: Definitions
    project: Project

    def files(self, database_uri: str) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "metadata.yaml", {"version": "1.0.0", "type": "assets"}
        yield f"databases/{DATABASE}.yaml", _database(database_uri)
        for name, dataset in self.definitions.datasets.items():
            path = f"datasets/{DATABASE}/{name.replace('.', '_')}.yaml"
            yield path, self._dataset(name, dataset)
        first_id = 1
        for dashboard in self.definitions.dashboards:
            for chart in dashboard.charts():
                uuid = _chart_uuid(dashboard, chart)
                yield f"charts/{uuid}.yaml", self._chart(dashboard, chart)
            yield f"dashboards/{dashboard.exposure}.yaml", self._dashboard(dashboard, first_id)
            first_id += sum(1 for _ in dashboard.charts())

    def _mart(self, dataset: Dataset) -> Mart:
        mart = self.project.mart_of(dataset.table)
        assert mart is not None, "problems() names a missing one"
        return mart

    def _dataset(self, name: str, dataset: Dataset) -> dict[str, Any]:
        mart = self._mart(dataset)
        layer, _, table = dataset.table.partition(".")
        columns = [
            _column(one.name, one.type, one.description, dataset.time)
            for one in mart.columns.values()
            if dataset.unpivot is None or one.name not in dataset.unpivot.columns
        ]
        if dataset.unpivot is not None:
            columns.append(_column(dataset.unpivot.name, "varchar", "The step.", ""))
            columns.append(_column(dataset.unpivot.value, "bigint", "How many took it.", ""))
        return {
            "table_name": table if dataset.unpivot is None else name,
            "schema": layer,
            "catalog": None,
            "sql": None if dataset.unpivot is None else unpivoted(dataset, mart),
            "description": self._says(dataset, mart),
            "main_dttm_col": dataset.time,
            "offset": 0,
            "cache_timeout": None,
            "params": None,
            "template_params": None,
            "filter_select_enabled": True,
            "fetch_values_predicate": None,
            "extra": {
                "certification": {
                    "certified_by": CERTIFIED_BY,
                    "details": f"The mart {mart.name}; owner: {mart.owner}",
                }
            },
            "normalize_columns": False,
            "uuid": str(identity("dataset", name)),
            "columns": columns,
            "metrics": [self._metric(dataset, mart, one) for one in dataset.metrics],
            "version": "1.0.0",
            "database_uuid": str(identity("database", DATABASE)),
            "is_managed_externally": True,
        }

    def _says(self, dataset: Dataset, mart: Mart) -> str:
        if dataset.layer == "live":
            return f"{dataset.table}, up to the newest event: {mart.description}"
        return mart.description

    def _metric(self, dataset: Dataset, mart: Mart, name: str) -> dict[str, Any]:
        metric = dataset.metric(name)
        said = [
            f"{column}: {mart.columns[column].description}"
            for column in metric.columns
            if column in mart.columns
        ]
        return {
            "metric_name": name,
            "verbose_name": metric.label or label(name),
            "metric_type": None,
            "expression": metric.sql,
            "description": " ".join([metric.about, f"{metric.text}.", *said]).lstrip(),
            "d3format": self.definitions.style.format(metric.measured)[0],
            "currency": None,
            "extra": {},
            "warning_text": None,
        }

    def _chart(self, dashboard: Dashboard, chart: Chart) -> dict[str, Any]:
        dataset = self.definitions.datasets[chart.of]
        mart = self._mart(dataset)
        form_data = params(chart, dataset, self.definitions.style, dashboard.days)
        context = query_context(chart, dataset, form_data)
        return {
            "slice_name": chart.title,
            "description": f"{self._says(dataset, mart)}{self._not_filtered(dashboard, chart)}",
            "certified_by": CERTIFIED_BY,
            "certification_details": f"{dataset.table}; owner: {mart.owner}",
            "viz_type": form_data["viz_type"],
            "params": form_data,
            "query_context": json.dumps(context),
            "cache_timeout": None,
            "uuid": str(_chart_uuid(dashboard, chart)),
            "version": "1.0.0",
            "dataset_uuid": str(identity("dataset", chart.of)),
            "is_managed_externally": True,
        }

    def _dashboard(self, dashboard: Dashboard, first_id: int) -> dict[str, Any]:
        exposure = self.project.exposures[dashboard.exposure]
        charts = list(dashboard.charts())
        uuids = [_chart_uuid(dashboard, chart) for chart in charts]
        labels = dict(self.definitions.style.labels)
        return {
            "dashboard_title": exposure.label,
            "description": exposure.description,
            "slug": dashboard.exposure.replace("_", "-"),
            "css": "",
            "certified_by": CERTIFIED_BY,
            "certification_details": f"owner: {exposure.owner}",
            "published": True,
            "uuid": str(identity("dashboard", dashboard.exposure)),
            "position": layout(dashboard, exposure.label, uuids, first_id),
            "metadata": {
                "color_scheme": "lakeward",
                "label_colors": labels,
                "shared_label_colors": [],
                "cross_filters_enabled": True,
                "refresh_frequency": dashboard.refresh_seconds,
                "timed_refresh_immune_slices": [
                    first_id + at for at, chart in enumerate(charts) if chart.last is None
                ],
                "expanded_slices": {},
                "default_filters": "{}",
                "chart_configuration": {},
                "global_chart_configuration": {
                    "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
                    "chartsInScope": [],
                },
                "native_filter_configuration": native_filters(
                    dashboard, self._hears, _dataset_uuid, first_id
                ),
            },
            "version": "1.0.0",
            "is_managed_externally": True,
        }

    def _hears(self, name: FilterName, chart: Chart) -> bool:
        dataset = self.definitions.datasets[chart.of]
        return hears(name, chart, dataset, self._mart(dataset).columns)

    def _not_filtered(self, dashboard: Dashboard, chart: Chart) -> str:
        """Say which filters of the dashboard leave a chart alone."""
        deaf = [label_of(name) for name in dashboard.filters if not self._hears(name, chart)]
        return f" Not filtered by: {', '.join(deaf)}." if deaf else ""


def unpivoted(dataset: Dataset, mart: Mart) -> str:
    """Return the SQL that turns columns of a mart into rows; it changes no number."""
    steps = dataset.unpivot
    assert steps is not None
    kept = ", ".join(name for name in mart.columns if name not in steps.columns)
    return "\nunion all\n".join(
        f"select {kept}, '{said}' as {steps.name}, {column} as {steps.value} from {dataset.table}"
        for column, said in steps.columns.items()
    )


def _chart_uuid(dashboard: Dashboard, chart: Chart) -> UUID:
    return identity("chart", f"{dashboard.exposure}/{chart.title}")


def _dataset_uuid(chart: Chart) -> UUID:
    return identity("dataset", chart.of)


def _database(uri: str) -> dict[str, Any]:
    return {
        "database_name": DATABASE,
        "sqlalchemy_uri": uri,
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True, "metadata_params": {}, "engine_params": {}},
        "uuid": str(identity("database", DATABASE)),
        "version": "1.0.0",
        "is_managed_externally": True,
    }


def _column(name: str, type_: str, description: str, time: str | None) -> dict[str, Any]:
    kind = type_.partition("(")[0].upper()
    return {
        "column_name": name,
        "verbose_name": label(name),
        "is_dttm": kind.startswith(("DATE", "TIMESTAMP")) or name == time,
        "is_active": True,
        "type": type_.upper(),
        "advanced_data_type": None,
        "groupby": True,
        "filterable": True,
        "expression": None,
        "description": description,
        "python_date_format": None,
        "extra": {},
    }
