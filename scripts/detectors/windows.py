"""Two windows as every tool gets them, and what a tool says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NUMBER, RATE, CATEGORY = "number", "rate", "category"


@dataclass(frozen=True, eq=False)
class Window:
    """One window's rows.

    Shapes: `table` (n_rows, n_columns), categories as whole numbers; `clusters` (n_rows,) says
    whose rows they are; `rows` (n_rows,) are places in the pool of public answers and `embedding`
    is (n_rows, n_dimensions), both empty for invented columns; `segments` (n_rows,) is the task.
    """

    table: FloatArray
    clusters: IntArray
    rows: IntArray
    embedding: FloatArray
    segments: IntArray

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True, eq=False)
class Windows:
    """A baseline and a current window of the same columns."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    baseline: Window
    current: Window
    pool: str = ""

    @property
    def has_texts(self) -> bool:
        """Say whether the rows are answers (or invented columns)."""
        return len(self.baseline.rows) > 0

    def columns_of(self, *kinds: str) -> list[int]:
        """Return the places of the columns of some kinds."""
        return [i for i, kind in enumerate(self.kinds) if kind in kinds]

    def texts(self, window: Window) -> list[str]:
        """Return a window's answers."""
        answers = _read_answers(self.pool)
        return [answers[i] for i in window.rows]

    def save(self, path: Path) -> None:
        """Write the windows to one file."""
        arrays = {
            f"{side}_{name}": values
            for side in ("baseline", "current")
            for name, values in vars(getattr(self, side)).items()
        }
        names = {"names": np.array(self.names), "kinds": np.array(self.kinds)}
        np.savez(path, **names, **arrays, pool=np.array(self.pool))


def load_windows(path: Path) -> Windows:
    """Read what `Windows.save` wrote."""
    with np.load(path, allow_pickle=False) as found:
        sides = [
            Window(**{name: found[f"{side}_{name}"] for name in Window.__dataclass_fields__})
            for side in ("baseline", "current")
        ]
        names, kinds = (tuple(str(x) for x in found[key]) for key in ("names", "kinds"))
        return Windows(names, kinds, sides[0], sides[1], str(found["pool"]))


@cache
def _read_answers(pool: str) -> list[str]:
    import json

    answers: list[str] = json.loads(Path(pool).read_text("utf-8"))["answers"]
    return answers


@dataclass(frozen=True)
class Finding:
    """What one method says of one pair of windows.

    Attributes:
        any_alarm: whether anything at all is flagged at the tool's defaults.
        verdict: the tool's own verdict on the whole window; None where it documents none.
        score: larger means more drift, comparable between windows of the same sizes.
        columns: which columns are flagged, by name.
        error: why there is no finding; the other values mean nothing then.
    """

    any_alarm: bool = False
    verdict: bool | None = None
    score: float = 0.0
    columns: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values: tools answer in numpy's own types, too."""
        plain = asdict(self)
        plain["any_alarm"], plain["score"] = bool(self.any_alarm), float(self.score)
        plain["verdict"] = None if self.verdict is None else bool(self.verdict)
        plain["columns"] = {name: bool(alarm) for name, alarm in self.columns.items()}
        return plain


Method = Callable[[Windows], Finding]


def minus_log(p_value: float) -> float:
    """Return -log10 of a p-value, 400 for zero."""
    return float(-np.log10(p_value)) if p_value > 0 else 400.0
