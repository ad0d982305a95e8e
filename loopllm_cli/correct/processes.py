"""Know one's place among the processes of a run that accelerate or torchrun started, and agree.

All processes of a run take the same optimizer steps, so whatever decides about a step (what was
measured, whether to stop) must be the same in all of them: the main process says it.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar, cast

from loopllm_cli.errors import ConfigError

T = TypeVar("T")


def world_size() -> int:
    """Return how many processes train together; one unless a launcher started us."""
    return max(1, _number("WORLD_SIZE", 1))


def is_main() -> bool:
    """Say whether this process is the one that writes files."""
    return _number("RANK", 0) == 0


def join_run(device: str) -> None:
    """Meet the other processes, and take a device of one's own; nothing to do for one process.

    Args:
        device: as `resolve_device` names it.

    Raises:
        ConfigError: the launcher asks for sharded weights, which are not supported.
    """
    for name, value in (("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")):
        if os.environ.get(name, "").lower() in ("true", "1"):
            raise ConfigError(
                f"{value} shards the weights, and the guards of a run need them whole",
                "launch with --multi_gpu, or let quantization = 'auto' make the base small enough",
            )
    if world_size() > 1:
        from accelerate import PartialState  # type: ignore[import-untyped]

        PartialState(cpu=device == "cpu")


def wait_for_all() -> None:
    """Wait until every process of the run is here; nothing to do for one process."""
    if world_size() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def from_main(make: Callable[[], T]) -> T:
    """Make something in the main process and return it in every one; all must call this."""
    if world_size() == 1:
        return make()
    from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]

    held = [make() if is_main() else None]
    broadcast_object_list(held, from_process=0)
    return cast(T, held[0])


def any_of_all(flag: bool) -> bool:
    """Say whether any process says so; every process must call this."""
    if world_size() == 1:
        return flag
    from accelerate.utils import gather_object

    return any(gather_object([flag]))


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
