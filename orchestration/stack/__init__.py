"""The processes of ``lakeward up``: started in order, watched, and stopped in the reverse order."""
