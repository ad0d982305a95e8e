"""Who judged: people, or machines; and of which family of models a machine is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loopllm_cli.model import Pair
from loopllm_cli.pairs.agreement.weigh import Drop
from loopllm_cli.pairs.chat import side_key
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import MACHINES, Vote

JUDGED = "judge "
"""How the rules of judges begin, so that no pair of theirs passes for a person's."""

# Who a judge tends to favour: itself and its relatives (Panickssery, Bowman, Feng: "LLM
# evaluators recognize and favor their own generations", 2024, arXiv 2404.13076). A name counts
# from the start of a word, so that `openai/gpt-4o` and `us.anthropic.claude-3` are known.
_FAMILIES = {
    "openai": ("gpt", "chatgpt", "o1", "o3", "o4", "davinci", "text-davinci", "openai"),
    "anthropic": ("claude", "anthropic"),
    "google": ("gemini", "gemma", "palm", "bison", "bard"),
    "meta": ("llama", "codellama", "vicuna", "alpaca", "tulu", "meta-llama"),
    "mistral": ("mistral", "mixtral", "codestral", "ministral", "magistral", "zephyr"),
    "qwen": ("qwen", "qwq"),
    "deepseek": ("deepseek",),
    "cohere": ("command", "cohere", "aya"),
    "microsoft": ("phi",),
    "xai": ("grok",),
    "amazon": ("nova", "titan"),
    "zhipu": ("glm", "chatglm"),
    "ibm": ("granite",),
    "allenai": ("olmo",),
}
_WORD = re.compile(r"[a-z]+\d*")
_BY_WORD = {word: family for family, words in _FAMILIES.items() for word in words}


def is_machine(vote: Vote) -> bool:
    """Say whether a judge model or a program gave a vote."""
    return vote.annotator_kind.upper() in MACHINES


def by_people(evidence: Evidence, kind: str) -> list[Vote]:
    """Return the votes of one kind that no machine gave."""
    return [vote for vote in evidence.of_kind(kind) if not is_machine(vote)]


def by_machines(evidence: Evidence, kind: str) -> list[Vote]:
    """Return the votes of one kind that machines gave."""
    return [vote for vote in evidence.of_kind(kind) if is_machine(vote)]


def family_of(model: str | None) -> str | None:
    """Return the family of a model's name, None where it is not known.

    Example:
        >>> family_of("openai/gpt-4o-mini"), family_of("Meta-Llama-3.1-8B"), family_of("u_12ab")
        ('openai', 'meta', None)
    """
    for word in _WORD.findall((model or "")[:200].lower()):
        stem = word.rstrip("0123456789")
        for known in (word, stem):
            if known in _BY_WORD:
                return _BY_WORD[known]
    return None


def prefer_people(pairs: Iterable[Pair]) -> tuple[list[Pair], list[Drop]]:
    """Leave out what judges say of two answers that people compared, whether they agree or not.

    People and judges are never joined in one pair, so its votes are all of one sort.

    Returns:
        The pairs that stay, in their order, and what is left out.
    """
    given = list(pairs)
    if not any(pair.rule.startswith(JUDGED) for pair in given):
        return given, []
    decided: dict[frozenset[str], set[str]] = {}
    for pair in given:
        if not pair.rule.startswith(JUDGED):
            better, _ = sides = _sides(pair)
            decided.setdefault(frozenset(sides), set()).add(better)
    kept: list[Pair] = []
    dropped: list[Drop] = []
    for pair in given:
        better, _ = sides = _sides(pair)
        people = decided.get(frozenset(sides))
        if people is None or not pair.rule.startswith(JUDGED):
            kept.append(pair)
        elif better in people:
            dropped.append(("judge on a pair that people decided", pair.feedback_ids))
        else:
            dropped.append(("judge who contradicts a person", pair.feedback_ids))
    return kept, dropped


def _sides(pair: Pair) -> tuple[str, str]:
    return (
        f"{pair.context_hash} {side_key(pair.chosen, pair.chosen_calls)}",
        f"{pair.context_hash} {side_key(pair.rejected, pair.rejected_calls)}",
    )
