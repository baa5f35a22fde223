"""The writer: from Kafka topics to bronze, each message exactly once."""
