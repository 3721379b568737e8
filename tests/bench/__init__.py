"""Jobyard measured beside the guide's own design; see docs/benchmarks.md."""
