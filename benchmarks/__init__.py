"""Benchmarks: kept code that measures, never a test. ``python -m benchmarks [NAME]`` runs them."""
