"""Readers: each runs in its tool's environment and prints what the tool makes of an export."""
