"""Profiles: a window's signals as sums that merge, without any text."""
