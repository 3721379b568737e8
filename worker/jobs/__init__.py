"""The kinds of job that Jobyard ships, one module each."""
