"""The Prefect flows of imextract: the story of a run, nothing else."""
