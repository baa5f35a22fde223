"""Kafka servers for tests and benchmarks."""
