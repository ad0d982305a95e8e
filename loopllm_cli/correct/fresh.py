"""Load a model with an adapter in a process of its own and see whether the adapter does anything.

What was trained, wrapped and patched in one process may not be what lies on disk. The child loads
both with plain transformers and PEFT, as whoever serves them does, and reports the change of the
first logits; started as `python -m loopllm_cli.correct.fresh`, with a request on stdin.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class FreshEffect:
    """The largest change of a first logit, or why there is none to tell."""

    effect: float
    failure: str = ""


def effect_in_fresh_process(
    model: str, adapter: Path, prompts: Sequence[Sequence[int]]
) -> FreshEffect:
    """Measure an adapter's effect in a new Python process.

    It holds the model once more, so whoever calls this should have let go of its own.

    Args:
        prompts: token ids up to the place where the answer begins.
    """
    request = {"model": model, "adapter": str(adapter), "prompts": [list(p) for p in prompts]}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return FreshEffect(float("nan"), f"{type(error).__name__}")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return FreshEffect(float("nan"), lines[-1] if lines else f"exit code {done.returncode}")
    return FreshEffect(float(json.loads(done.stdout.strip().splitlines()[-1])["effect"]))


def free_memory() -> None:
    """Give memory that nothing holds any more back to the device."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def measure_effect(model: Any, prompts: Sequence[Sequence[int]]) -> float:
    """Return the largest change of any first-token logit, with the adapter on and off."""
    import torch

    from loopllm_cli.correct.generate import adapter_off

    largest = 0.0
    for prompt in prompts:
        ids = torch.tensor([list(prompt)], device=model.device)
        with torch.no_grad():
            on = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
            with adapter_off(model):
                off = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
        largest = max(largest, float((on.float() - off.float()).abs().max()))
    return largest


def main() -> None:
    """Answer one request."""
    from peft import PeftModel

    from loopllm_cli.correct.loading import load_model

    request = json.loads(sys.stdin.read())
    loaded = load_model(request["model"])
    wrapped = PeftModel.from_pretrained(loaded, request["adapter"], is_trainable=False).eval()
    effect = measure_effect(wrapped, request["prompts"])
    sys.stdout.write("\n" + json.dumps({"effect": effect}) + "\n")


if __name__ == "__main__":
    main()
