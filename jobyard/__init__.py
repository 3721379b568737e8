"""The Python client of Jobyard."""
