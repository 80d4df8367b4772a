"""The ledger: what was planned, what is extracted, who did what."""
