"""Other job libraries, each used as its own documentation shows it, with its defaults.

All run the same number of processes with one slot each, on the same Redis (append-only file) or PostgreSQL (`fsync` on)
as Jobyard. Where a rival offers a choice, it gets the one that is faster for a no-op, and its module says so.
"""
