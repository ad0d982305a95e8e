"""What surrounds a run: threads, and errors of the machine turned into what to do about them.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from loopllm_cli.correct.partial import last_checkpoint
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.correct.request import TrainRequest
from loopllm_cli.errors import OutOfMemory, StoreUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What torch and safetensors say of a full disk, which they do not hand on as an OSError.
_FULL_WORDS = ("No space left on device", "file write failed", "failed writing file", "os error 28")
_MEMORY_WORDS = ("can't allocate memory", "out of memory")


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """Set torch's threads for a while; 0 leaves them."""
    import torch

    before = torch.get_num_threads()
    if n_threads:
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def disk_errors(request: TrainRequest) -> Iterator[None]:
    """Say of a full disk where the run stands.

    Raises:
        StoreUnavailable: there is no room; checkpoints that were whole stay.
    """
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        root = request.adapter_out.with_name(request.adapter_out.name + ".partial")
        found = last_checkpoint(root / "checkpoints")
        step = found.name.removeprefix("checkpoint-") if found else ""
        said = f"the checkpoint of step {step} is whole" if found else "no checkpoint was kept yet"
        raise StoreUnavailable(
            f"no space left to write to {root}; {said}",
            "free some space and run the same command again: it goes on from there",
        ) from error


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(word in str(error) for word in _FULL_WORDS)


def is_memory_error(error: BaseException) -> bool:
    """Say whether a device or the machine ran out of memory."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error) for w in _MEMORY_WORDS)


def smaller_micro_batch(recipe: Recipe) -> int | None:
    """Return the next smaller micro batch that whole batches are made of, None below the least.

    kto compares answers within a micro batch, so its least is two.
    """
    least = 2 if recipe.method == "kto" else 1
    sizes = range(recipe.micro_batch_size // 2, least - 1, -1)
    return next((n for n in sizes if recipe.batch_size % n == 0), None)


def memory_error(request: TrainRequest, recipe: Recipe) -> OutOfMemory:
    """Return the error for a run that does not fit in any micro batch."""
    hint = "lower max_length" if recipe.gradient_checkpointing else (
        "set gradient_checkpointing = true, or lower max_length"
    )  # fmt: skip
    return OutOfMemory(
        f"not enough memory to train {request.model} with micro_batch_size = "
        f"{recipe.micro_batch_size} and max_length = {recipe.max_length}",
        hint,
    )
