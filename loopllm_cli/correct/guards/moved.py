"""Leave answers out of the watch that the served adapter has moved already, as it should have.

Every adapter is trained from the base, also where one is served. Answers that people like today may
be the served adapter's own, of an earlier repair: the base would never have given them, and a run
that learns them again moves far from it there. That is no damage.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopllm_cli.correct.encoding import EncodedAnswer
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.score import kl_of_encoded


def is_for(adapter: Path, model_hash: str) -> bool:
    """Say whether an adapter was made for a base; one that cannot be read was not."""
    try:
        lineage = json.loads((adapter / "lineage.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(lineage, dict) and lineage.get("model_hash") == model_hash


def unmoved(
    model: Any, served: Path, liked: Sequence[EncodedAnswer], limit: float
) -> tuple[Any, list[bool]]:
    """Say which answers the served adapter gives as the base does.

    Args:
        model: the base; it comes back without any adapter.
        served: the folder of the adapter.
        limit: nats per token; beyond it an answer counts as moved.
    """
    from peft import PeftModel

    with quiet():
        wrapped = PeftModel.from_pretrained(model, str(served)).eval()
        found = [bool(kl <= limit) for kl in kl_of_encoded(wrapped, liked).per_answer]
        return wrapped.unload(), found
