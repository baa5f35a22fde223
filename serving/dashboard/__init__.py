"""``lakeward dashboard``: pages on gold and the live views, for a browser and nothing else."""
