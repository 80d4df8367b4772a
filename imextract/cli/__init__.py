"""The command line of imextract."""
