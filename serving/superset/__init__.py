"""Superset: dashboards on gold as short definitions in git, rendered to its own import format."""
