"""Faults of webhooks: receivers that do what they should not, and processes killed around a delivery."""
