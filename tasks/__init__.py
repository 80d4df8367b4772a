"""The Prefect tasks of imextract: a signature and one call into the library."""
