"""The one place where a dbt resource becomes a Dagster asset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetSpec, FreshnessPolicy
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from lake.tables import LAYERS, Layer
from orchestration.keys import table_key
from orchestration.owners import dagster_owners

KINDS = {"dbt", "duckdb", "deltalake"}


class LayerTranslator(DagsterDbtTranslator):
    """Folder = layer = schema = group: ``models/gold/fct_funnel.sql`` is ``gold/fct_funnel``.

    A dbt source is the bronze asset of the same name, so the graph runs from topic to mart.
    """

    def __init__(self, freshness: FreshnessPolicy) -> None:
        """Take the policy for tables of gold: people look at them."""
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))
        self._freshness = freshness

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> AssetSpec:
        """Return the asset of a model, seed or source."""
        props = self.get_resource_props(manifest, unique_id)
        spec = super().get_asset_spec(manifest, unique_id, project)
        layer = layer_of(props)
        if layer is None:
            return spec
        return spec.replace_attributes(
            key=table_key(layer, _table_of(props)),
            group_name=layer,
            owners=dagster_owners(owner_of(props)),
            kinds=KINDS,
            freshness_policy=self._freshness if layer == "gold" else None,
        )

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> Any:
        """Return the same key as ``get_asset_spec``: dagster-dbt asks both."""
        layer = layer_of(dbt_resource_props)
        if layer is None:
            return super().get_asset_key(dbt_resource_props)
        return table_key(layer, _table_of(dbt_resource_props))


def layer_of(props: Mapping[str, Any]) -> Layer | None:
    """Return the layer of a dbt resource, None when its schema is none of lakeward's."""
    for layer in LAYERS:
        if props.get("schema") == layer:
            return layer
    return None


def owner_of(props: Mapping[str, Any]) -> str:
    """Return ``meta.owner`` of a dbt resource; empty when it names none."""
    meta = props.get("config", {}).get("meta") or props.get("meta") or {}
    return str(meta.get("owner", ""))


def _table_of(props: Mapping[str, Any]) -> str:
    return str(props.get("identifier") or props.get("alias") or props["name"])
