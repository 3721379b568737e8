"""Faults around events and listeners."""
