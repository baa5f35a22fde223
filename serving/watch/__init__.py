"""Numbers of the lake for Prometheus: freshness, business, checks, disk, Dagster."""
