"""Verify: prove that an adapter repairs the drift and breaks nothing else, or refuse it.

It has no judge of its own: regenerated answers are one more window for the drift engine.
"""
