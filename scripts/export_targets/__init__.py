"""Exports of pairs against the tools that read them: datasets, environments, readers."""
