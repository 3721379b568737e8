"""A user's package of kinds, named in JOBYARD_JOB_MODULES by the benchmarks."""
