"""Pairs: from what users said to preference data, with a reason for everything left out."""
