"""Spark Structured Streaming from Kafka to Delta; runs under Spark's own Python, not lakeward's.

``python spark_stream.py SERVERS TOPIC FOLDER JARS BATCH`` prints the progress of the query as JSON.
Nothing of lakeward can be imported here.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json

SCHEMA = (
    "event_id string, tenant_id string, session_id string, user_id string, timestamp timestamp, "
    "event_type string, page_type string, page_url string, referrer string, country string, "
    "device_type string, browser string, page_load_time double, scroll_depth double, "
    "ico_website_id string"
)


def main() -> None:
    """Stream what is in the topic, then print how each micro-batch went."""
    servers, topic, folder, jars, batch = sys.argv[1:6]
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", ",".join(map(str, sorted(Path(jars).glob("*.jar")))))
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        # two cores: by default Delta reads its log in 50 tasks, and shuffles go to 200
        .config("spark.databricks.delta.snapshotPartitions", "2")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config(
            "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        )
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.hadoop.parquet.compression.codec.zstd.level", "1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    source = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", batch)
        .load()
    )
    rows = source.select(
        from_json(col("value").cast("string"), SCHEMA).alias("event"),
        "topic",
        "partition",
        "offset",
        col("timestamp").alias("appended_at"),
    ).select("event.*", "topic", "partition", "offset", "appended_at")
    query = (
        rows.writeStream.format("delta")
        .option("checkpointLocation", f"{folder}/checkpoint")
        .trigger(availableNow=True)
        .start(f"{folder}/table")
    )
    query.awaitTermination()
    print(
        json.dumps(
            [
                {
                    "rows": one["numInputRows"],
                    "at": one["timestamp"],
                    "ms": one["durationMs"]["triggerExecution"],
                }
                for one in query.recentProgress
            ]
        )
    )
    spark.stop()


main()
