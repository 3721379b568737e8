"""What the API and the workers both know: the ledger, the kinds of job, the settings."""
