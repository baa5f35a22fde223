"""Topics that hold a table of gold, as assets: after each build they are brought up to it.

Dagster looks at the annotation of ``context`` itself, so annotations are not strings here.
"""

from collections.abc import Iterable

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    asset,
)

from ingest.errors import BrokerError, LakewardError
from ingest.settings import IngestSettings
from lake.tables import Lake
from orchestration.keys import PUBLISHED, published_key, table_key
from orchestration.models import POOL
from orchestration.retries import BROKER_RETRIES
from serving.mart import LAYER
from serving.publish.run import Options, Published, publish
from serving.publish.target import Target


def published_assets(
    targets: Iterable[Target], positions: str, ingest: IngestSettings, lake: Lake
) -> list[AssetsDefinition]:
    """Return one asset a topic that ``LAKEWARD_PUBLISH`` names."""
    return [_published(target, Options(positions), ingest, lake) for target in targets]


def _published(
    target: Target, options: Options, ingest: IngestSettings, lake: Lake
) -> AssetsDefinition:
    @asset(
        key=published_key(target.topic),
        group_name=PUBLISHED,
        kinds={"kafka"},
        deps=[table_key(LAYER, target.mart.name)],
        retry_policy=BROKER_RETRIES,
        pool=POOL,  # not while a build writes the table
        description=f"The rows of {target.mart.label} as messages of the topic {target.topic}, "
        f"by {', '.join(target.mart.key)}: what changed since the last time.",
    )
    def topic(context: AssetExecutionContext) -> MaterializeResult[None]:
        try:
            done = publish(ingest, lake, target, options)
        except BrokerError:
            raise  # it may be back in a moment
        except LakewardError as error:
            raise Failure(description=str(error), allow_retries=False) from error
        for note in done.notes:
            context.log.warning(note)
        return MaterializeResult(metadata=_metadata(done))

    return topic


def _metadata(done: Published) -> dict[str, MetadataValue]:
    return {
        "rows sent": MetadataValue.int(done.upserts),
        "tombstones sent": MetadataValue.int(done.tombstones),
        "from version": MetadataValue.text(str(done.from_version)),
        "version": MetadataValue.int(done.to_version),
        "compared with": MetadataValue.text(done.basis),
        **({"why": MetadataValue.text(done.reason)} if done.reason else {}),
        "exactly once": MetadataValue.bool(done.is_exactly_once),
    }
