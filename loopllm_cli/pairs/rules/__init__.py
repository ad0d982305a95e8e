"""One file per kind of feedback; each yields candidates and reasons, in a fixed order."""

from loopllm_cli.pairs.rules import (
    comparisons,
    corrections,
    edits,
    machines,
    rankings,
    ratings,
    regenerations,
    silent,
    votes,
)

RULES = (
    corrections.build,
    edits.build,
    comparisons.build,
    rankings.build,
    votes.build,
    ratings.build,
    regenerations.build,
    machines.build,
    silent.build,
)
