"""Topics that hold a table of gold, as assets; ``publish_sensor`` brings them up to it.

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
from orchestration.publish_sensor import why_not_good
from orchestration.retries import BROKER_RETRIES
from orchestration.table_metadata import VERSION
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
    table = table_key(LAYER, target.mart.name)

    @asset(
        key=published_key(target.topic),
        group_name=PUBLISHED,
        kinds={"kafka"},
        deps=[table],
        retry_policy=BROKER_RETRIES,
        pool=POOL,  # not while a build writes the table
        description=f"The rows of {target.mart.label} as messages of the topic {target.topic}, "
        f"by {', '.join(target.mart.key)}: what changed since the last time.",
    )
    def topic(context: AssetExecutionContext) -> MaterializeResult[None]:
        reason = why_not_good(context.instance, table, context.run.run_id)
        if reason is not None:
            raise Failure(
                description=f"{target.topic} stays as it is: {reason}; `lakeward publish` sends "
                "the table as it is all the same",
                allow_retries=False,
            )
        try:
            done = publish(ingest, lake, target, options)
        except LakewardError as error:
            raise Failure(
                description=f"{error}\n{target.mart.label} is built; only the topic "
                f"{target.topic} is behind it. It is tried again until it succeeds.",
                allow_retries=isinstance(error, BrokerError),  # it may be back in a moment
            ) from error
        for note in done.notes:
            context.log.warning(note)
        return MaterializeResult(metadata=_metadata(done))

    return topic


def _metadata(done: Published) -> dict[str, MetadataValue]:
    return {
        "rows sent": MetadataValue.int(done.upserts),
        "tombstones sent": MetadataValue.int(done.tombstones),
        "from version": MetadataValue.text(str(done.from_version)),
        VERSION: MetadataValue.int(done.to_version),
        "compared with": MetadataValue.text(done.basis),
        **({"why": MetadataValue.text(done.reason)} if done.reason else {}),
        "exactly once": MetadataValue.bool(done.is_exactly_once),
    }
