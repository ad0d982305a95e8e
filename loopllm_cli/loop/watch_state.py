"""What a watch keeps from slot to slot: sums of the last hours, what was decided, how far it read.

One file, replaced in one step: a watch that is killed goes on from the last slot that it judged,
and reads again what it had read since. No text of logs is in it.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.slots import REACH, WINDOWS, SlotState
from loopllm_cli.errors import SchemaMismatch, StoreUnavailable
from loopllm_cli.model import WatchResult
from loopllm_cli.render.as_json import from_json, to_json
from loopllm_cli.store.project import Project

FOLDER = "watch"
_FORMAT = "loopllm.watch/1"

FloatArray = npt.NDArray[np.float64]


@dataclass
class WatchState:
    """Everything that one slot hands to the next.

    `slots` holds the sums of the last `REACH` slots that had rows, by number, each of shape
    (4, n_segments, n_signals); `places` how far files were read; it and `result` are
    None before the first slot.
    """

    judged: SlotState
    slot: int = 0
    slots: dict[int, FloatArray] = field(default_factory=dict)
    places: dict[str, Any] | None = None
    result: WatchResult | None = None

    def add(self, sums: FloatArray) -> None:
        """Put the sums of the newest slot in, and forget those out of reach."""
        self.slots[self.slot] = sums
        self.slots = {k: v for k, v in self.slots.items() if k > self.slot - REACH}

    def windows(self) -> FloatArray:
        """Return the sums of the windows that end now, (4, len(WINDOWS), n_segments, n_signals)."""
        like = self.slots[self.slot]
        out = np.zeros((like.shape[0], len(WINDOWS), *like.shape[1:]))
        for number, sums in self.slots.items():
            for place, length in enumerate(WINDOWS):
                if number > self.slot - length:
                    out[:, place] += sums
        return out


def read_state(project: Project, key: str, shape: tuple[int, int]) -> WatchState:
    """Read what a watch left, or begin anew.

    Args:
        shape: numbers of segments and signals.

    Raises:
        SchemaMismatch: the file is damaged or does not fit the baseline.
    """
    path = project.home / FOLDER / f"{key}.npz"
    if not path.is_file():
        return WatchState(SlotState.new(shape[1]))
    try:
        return _from_bytes(path.read_bytes(), shape)
    except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
        raise SchemaMismatch(
            f"{path} is damaged or of another version", "remove it: the watch begins anew"
        ) from error


def write_state(project: Project, key: str, state: WatchState) -> None:
    """Keep a state, in one step.

    Raises:
        StoreUnavailable: the place cannot be written.
    """
    path: Path = project.folder(FOLDER) / f"{key}.npz"
    part = path.with_suffix(".part")
    try:
        part.write_bytes(_to_bytes(state))
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "free some space and start it again"
        ) from error


def _to_bytes(state: WatchState) -> bytes:
    card = {
        "format": _FORMAT,
        "slot": state.slot,
        "places": state.places,
        "result": to_json(state.result) if state.result else None,
    }
    numbers = sorted(state.slots)
    sums = [state.slots[k] for k in numbers]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        card=np.frombuffer(json.dumps(card).encode(), dtype=np.uint8),
        since=state.judged.since,
        floor=state.judged.floor,
        numbers=np.array(numbers, dtype=np.int64),
        sums=np.stack(sums) if sums else np.zeros((0, 4, 0, 0)),
    )
    return buffer.getvalue()


def _from_bytes(content: bytes, shape: tuple[int, int]) -> WatchState:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    card = json.loads(arrays["card"].tobytes())
    sums, since, floor = arrays["sums"], arrays["since"], arrays["floor"]
    numbers = [int(k) for k in arrays["numbers"]]
    fits = since.shape == floor.shape == (shape[1],) and len(sums) == len(numbers)
    if card["format"] != _FORMAT or not fits or (numbers and sums.shape[1:] != (4, *shape)):
        raise ValueError("not the state of this watch")
    return WatchState(
        SlotState(since, floor),
        card["slot"],
        dict(zip(numbers, sums, strict=True)),
        card["places"],
        from_json(card["result"], WatchResult) if card["result"] else None,
    )
