"""Faults of mail: workers that are killed in the middle of a conversation, servers that are slow, away or refuse."""
