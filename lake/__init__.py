"""A Kafka topic in, bronze Delta tables out: writer, dead letters, audit and reading."""
