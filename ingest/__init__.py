"""Events in, a Kafka topic out: contracts, generator, file import and the embedded broker."""
