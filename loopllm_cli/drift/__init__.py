"""Drift: two profiles in, effects with intervals and verdicts out. Numbers only."""
