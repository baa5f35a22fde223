"""Gold to Kafka: the rows of a table as upserts, and tombstones for those that went."""
