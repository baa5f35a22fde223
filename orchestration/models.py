"""Silver and gold as assets, each layer built by one dbt command in this process.

Two commands and not one, so that the checks of silver can stop gold. Dagster looks at the
annotation of ``context`` itself, so annotations are not strings here.
"""

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
)
from dagster_dbt import dbt_assets

from lake.dbt_run import DbtResult, NodeResult, Progress, run_dbt
from lake.errors import BuildError
from lake.priority import give_way
from lake.settings import LakeSettings
from lake.tables import Lake, Layer
from orchestration.column_lineage import Origins, lineage_metadata, load_lineage
from orchestration.retries import BUILD_RETRIES
from orchestration.table_metadata import table_facts, table_metadata
from orchestration.translator import LayerTranslator
from serving.catalog import build_catalog, catalog_path

MODEL_LAYERS: tuple[Layer, ...] = ("silver", "gold")
POOL = "models"
"""One run at a time builds models; ``dagster.yaml`` gives each pool one place."""
UNIQUE_ID = "dagster_dbt/unique_id"

Event = MaterializeResult[None] | AssetCheckResult


@dataclass(frozen=True, slots=True)
class DbtCommand:
    """How dbt is called from Dagster."""

    folder: Path
    """Where dbt may write its artifacts and log."""
    settings: LakeSettings

    def stream(self, args: list[str]) -> Iterator[Progress | DbtResult]:
        """Yield what dbt does while it does it, and at the end the result."""
        events: queue.SimpleQueue[Progress | DbtResult | BaseException] = queue.SimpleQueue()

        def work() -> None:
            give_way(self.settings.build_niceness)
            try:
                events.put(
                    run_dbt(
                        args,
                        home=self.folder,
                        lake_root=self.settings.root,
                        on_progress=events.put,
                    )
                )
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                events.put(error)

        threading.Thread(target=work, name="dbt", daemon=True).start()
        while True:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, DbtResult):
                return


def model_assets(
    manifest: Mapping[str, Any], translator: LayerTranslator, dbt: DbtCommand
) -> list[AssetsDefinition]:
    """Return one asset definition a layer."""
    return [_layer_assets(layer, manifest, translator, dbt) for layer in MODEL_LAYERS]


def _layer_assets(
    layer: Layer, manifest: Mapping[str, Any], translator: LayerTranslator, dbt: DbtCommand
) -> AssetsDefinition:
    @dbt_assets(
        manifest=manifest,
        select=f"config.schema:{layer}",
        name=f"{layer}_models",
        dagster_dbt_translator=translator,
        retry_policy=BUILD_RETRIES,
        pool=POOL,
    )
    def models(context: AssetExecutionContext) -> Iterator[Event]:
        result = follow(context, dbt.stream(build_arguments(context)))
        lake = Lake(dbt.settings.root)
        lineage = lineage_of(context, manifest, dbt) if result.models() else {}
        yield from events_of(context, result, lake, lineage)
        if layer == "gold":
            renew_catalog(context, lake, dbt.settings)
        raise_failures(result)

    return models


def lineage_of(
    context: AssetExecutionContext, manifest: Mapping[str, Any], dbt: DbtCommand
) -> Mapping[str, Origins]:
    """Return what the columns of each table are made of; without it a build is still a build."""
    try:
        return load_lineage(manifest, dbt.folder)
    except (BuildError, OSError) as error:
        context.log.warning(f"no column lineage: {error}")
        return {}


def renew_catalog(context: AssetExecutionContext, lake: Lake, settings: LakeSettings) -> None:
    """Let the catalog's live views begin where gold now ends, and show new tables."""
    result = build_catalog(lake, catalog_path(settings.home))
    if result.is_changed:
        context.log.info(f"catalog {result.path}: {result.tables} views")
    for line in result.left_out:
        context.log.warning(f"left out of the catalog: {line}")


def build_arguments(context: AssetExecutionContext) -> list[str]:
    """Return the dbt command for what was selected in Dagster.

    When all checks of the selected tables are wanted, dbt finds their tests itself; it leaves out
    those that need a table which is built later (``buildable``).
    """
    names = {spec.key: _dbt_name(spec.metadata) for spec in context.assets_def.specs}
    chosen = [names[key] for key in sorted(context.selected_asset_keys)]
    wanted = context.selected_asset_check_keys
    there = {
        spec.key: _dbt_name(spec.metadata)
        for spec in context.assets_def.node_check_specs_by_output_name.values()
    }
    full = {key for key in there if key.asset_key in context.selected_asset_keys}
    command = ["build", "--exclude-resource-type", "unit_test"]
    if wanted == full:
        return [*command, "--select", *chosen, "--indirect-selection", "buildable"]
    tests = [there[key] for key in sorted(wanted)]
    return [*command, "--select", *chosen, *tests, "--indirect-selection", "empty"]


def follow(context: AssetExecutionContext, stream: Iterator[Progress | DbtResult]) -> DbtResult:
    """Write what dbt does to the run's log; return the result."""
    for event in stream:
        if isinstance(event, DbtResult):
            return event
        if event.has_ended:
            context.log.info(f"{event.kind} {event.name} done ({event.index} of {event.total})")
        else:
            context.log.debug(f"{event.kind} {event.name} begins")
    raise Failure("dbt ended without a result")


def events_of(
    context: AssetExecutionContext,
    result: DbtResult,
    lake: Lake,
    lineage: Mapping[str, Origins],
) -> Iterator[Event]:
    """Yield a materialization for each table that was built, a check result for each test."""
    assets = {_dbt_id(spec.metadata): spec.key for spec in context.assets_def.specs}
    checks = {
        _dbt_id(spec.metadata): spec.key
        for spec in context.assets_def.check_specs
        if spec.key in context.selected_asset_check_keys
    }
    for node in result.models():
        if node.is_good and node.unique_id in assets:
            key = assets[node.unique_id]
            metadata = _node_metadata(lake, node)
            if node.label in lineage:
                metadata |= lineage_metadata(lineage[node.label])
            yield MaterializeResult(asset_key=key, metadata=metadata)
    for node in result.tests():
        if node.status == "skipped":
            continue
        if node.unique_id in checks:
            key = checks[node.unique_id]
            yield AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=node.status == "pass",
                severity=(
                    AssetCheckSeverity.WARN if node.status == "warn" else AssetCheckSeverity.ERROR
                ),
                description=node.message or None,
                metadata={
                    "rows that fail": MetadataValue.int(node.rows or 0),
                    **({} if node.compiled is None else {"SQL": MetadataValue.path(node.compiled)}),
                },
            )
        elif not node.is_good:
            context.log.error(f"test {node.name}: {node.message}")


def raise_failures(result: DbtResult) -> None:
    """Fail the step when dbt failed.

    Raises:
        Failure: names what failed and why. A failed test is final; a failed model is tried again.
    """
    failures = result.failures()
    if result.succeeded and not failures:
        return
    told = "\n".join(f"{node.label}: {node.status}: {node.message}" for node in failures)
    raise Failure(
        description=f"dbt failed:\n{told}" if told else "dbt failed; see its log",
        metadata={"dbt log": MetadataValue.path(result.target_path.parent / "logs" / "dbt.log")},
        allow_retries=any(node.kind in ("model", "seed") for node in failures),
    )


def _node_metadata(lake: Lake, node: NodeResult) -> dict[str, MetadataValue[Any]]:
    layer, _, table = node.label.partition(".")
    metadata: dict[str, Any] = {}
    for known in MODEL_LAYERS:
        if layer == known:
            metadata |= table_metadata(lake, table_facts(lake, known, table))
    if node.mode is not None:
        metadata["how it was built"] = MetadataValue.text(node.mode)
    if node.rows is not None:
        metadata["rows written"] = MetadataValue.int(node.rows)
    metadata["seconds"] = MetadataValue.float(round(node.seconds, 3))
    return metadata


def _dbt_id(metadata: Mapping[str, Any]) -> str:
    return str(metadata[UNIQUE_ID])


def _dbt_name(metadata: Mapping[str, Any]) -> str:
    """Return the name by which dbt selects a node: the third part of its id."""
    return _dbt_id(metadata).split(".")[2]
