"""Langfuse's token counts and costs."""

from __future__ import annotations

from loopllm_cli.sources.fields import first_of, to_count, to_number
from loopllm_cli.sources.payloads.pieces import as_dict
from loopllm_cli.sources.rows import Record, Row

_PLAIN = (
    ("input", ("input_usage", "prompt_tokens")),
    ("output", ("output_usage", "completion_tokens")),
)


def read_tokens(record: Record) -> Row:
    """Read the token counts, which Langfuse keeps in buckets that exclude each other.

    Cached tokens are taken out of `input`, reasoning out of `output`. Some instrumentations
    send counts that include them; the total tells which of the two it is.
    """
    details = as_dict(record.get("usage_details")) or as_dict(record.get("usage"))
    counts = {key: n for key, n in ((k, to_count(v)) for k, v in details.items()) if n is not None}
    if not counts:
        counts = {k: n for k, names in _PLAIN if (n := to_count(first_of(record, *names)))}
    plain, said = counts.get("input"), counts.get("output")
    asked = {k: n for k, n in counts.items() if _is_bucket(k, "input")}
    made = {k: n for k, n in counts.items() if _is_bucket(k, "output")}
    if counts.get("total") == (plain or 0) + (said or 0):
        more_asked = more_made = 0
    else:
        more_asked, more_made = sum(asked.values()), sum(made.values())
    found = {
        "input_tokens": None
        if plain is None and not asked
        else to_count((plain or 0) + more_asked),
        "output_tokens": None if said is None and not made else to_count((said or 0) + more_made),
        "cache_read_input_tokens": _bucket(counts, "cached", "cache_read"),
        "cache_write_input_tokens": _bucket(counts, "cache_creation", "cache_write"),
        "reasoning_output_tokens": _bucket(counts, "reasoning"),
    }
    return {name: count for name, count in found.items() if count is not None}


def _is_bucket(name: str, side: str) -> bool:
    # Anthropic's own names are buckets, too; dotted names are details of a count.
    return name.startswith(f"{side}_") or (name.startswith("cache_") and side in name)


def _bucket(counts: dict[str, int], *words: str) -> int | None:
    found = [n for name, n in counts.items() if any(word in name for word in words)]
    return max(found, default=None)


def read_cost(record: Record) -> float | None:
    """Read what an observation cost; zero where nothing else was logged is no price."""
    details = as_dict(record.get("cost_details"))
    total = to_number(first_of(record, "total_cost", "calculated_total_cost"))
    if total is None:
        total = to_number(details.get("total"))
    return None if total is None or total < 0 or (total == 0 and not details) else total
