"""Twelve weeks of a shop whose world moves while its model stays what it was."""
