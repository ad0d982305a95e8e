"""Signals: one number per row for everything about an answer that can slide."""
