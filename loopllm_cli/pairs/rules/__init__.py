"""One file per kind of feedback; each yields candidates and reasons, in a fixed order."""

from loopllm_cli.pairs.rules import comparisons, corrections, ratings, votes

RULES = (corrections.build, comparisons.build, votes.build, ratings.build)
