"""When all this runs: Dagster definitions, no business logic."""
