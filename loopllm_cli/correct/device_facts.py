"""Read what the machine offers for training: memory, number formats, cores, optional packages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

# Optional packages that change what can be chosen.
OPTIONAL = ("flash_attn", "bitsandbytes", "liger_kernel")


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """One device, as training sees it.

    `kind` is "cpu", "cuda" or "mps"; `memory` and `free` are bytes (0 where it cannot be known);
    `capability` is CUDA's compute capability; `peak_flops` is the data sheet's dense half
    precision rate, None where the card is not in the table.
    """

    kind: str
    name: str = ""
    memory: int = 0
    free: int = 0
    bf16: bool = False
    capability: tuple[int, int] | None = None
    n_cores: int = 1
    n_processes: int = 1
    installed: frozenset[str] = frozenset()
    peak_flops: float | None = None


# Dense bf16/fp16 tensor-core rates in FLOP/s.
# Source: NVIDIA data sheets and architecture white papers of the cards, without sparsity.
_PEAK = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "B200": 2250e12, "A100": 312e12,
    "L40S": 362e12, "L4": 121e12, "A10": 125e12, "A6000": 155e12, "RTX 4090": 165e12,
    "RTX 3090": 71e12, "V100": 125e12, "T4": 65e12,
}  # fmt: skip


def read_device_facts(device: str = "auto") -> DeviceFacts:
    """Read the facts of the device that a run would use.

    Args:
        device: "auto", "cpu", "cuda" or "mps", as in a recipe.

    Raises:
        SetupError: the named device is not there.
    """
    import torch

    from loopllm_cli.correct.loading import resolve_device

    kind = resolve_device(device)
    installed = frozenset(name for name in OPTIONAL if find_spec(name) is not None)
    n_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if kind != "cuda":
        total, free = _main_memory()
        return DeviceFacts(
            kind, memory=total, free=free, bf16=False, n_cores=_cores(),
            n_processes=n_processes, installed=installed,
        )  # fmt: skip
    index = int(os.environ.get("LOCAL_RANK", "0"))
    free, total = torch.cuda.mem_get_info(index)
    name = torch.cuda.get_device_name(index)
    return DeviceFacts(
        kind,
        name=name,
        memory=total,
        free=free,
        bf16=torch.cuda.is_bf16_supported(including_emulation=False),
        capability=torch.cuda.get_device_capability(index),
        n_cores=_cores(),
        n_processes=n_processes,
        installed=installed,
        peak_flops=peak_flops(name),
    )


def peak_flops(name: str) -> float | None:
    """Return the dense half precision rate of a card by its name, None for an unknown card."""
    found = [rate for part, rate in _PEAK.items() if part.lower() in name.lower()]
    return found[0] if found else None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _main_memory() -> tuple[int, int]:
    """Return total and available bytes, within the limit of a Linux control group."""
    values = {}
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            key, _, rest = line.partition(":")
            values[key] = int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        return 0, 0
    total, free = values.get("MemTotal", 0), values.get("MemAvailable", 0)
    limit = _number("/sys/fs/cgroup/memory.max")
    used = _number("/sys/fs/cgroup/memory.current")
    if limit and limit < total:
        total, free = limit, min(free, max(0, limit - (used or 0)))
    return total, free


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" where there is no limit
        return None
