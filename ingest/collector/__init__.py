"""Taking events by HTTP: authenticated, validated, enriched, and on Kafka before the answer."""
