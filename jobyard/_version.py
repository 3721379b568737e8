"""The client's version, also for its wheel."""

__version__ = "0.1.0"
