"""The ledger of a nightly watch: one small file per judged night, numbered, never rewritten.

    nights/KEY/000001.npz, 000002.npz, ...

A file holds arrays and a card (JSON), and a hash over both. The next number is the only thing a
run may add, in one atomic step, so a run that is killed leaves a ledger that ends one night
earlier. Corrections of a night's sums (its rows changed) lie beside it, as 000001.again.npz, with
what the night decided left as it was. All files are part of the project and move with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loopllm_cli.errors import SchemaMismatch, StoreUnavailable
from loopllm_cli.model import Window
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import where_clause

FORMAT = "loopllm.nights/1"
FOLDER = "nights"
_NAME = re.compile(r"(\d{6})(\.again)?\.npz")
_HEX_DIGITS = 10

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Entry:
    """One file of the ledger: what was decided, and the sums it rests on."""

    card: dict[str, Any]
    arrays: Arrays


class Ledger:
    """The nights that have been judged under one key, numbered from 1 in the order of arrival.

    Args:
        project: whose ledger.
        key: what is watched, safe as the name of a folder.

    Raises:
        SchemaMismatch: a night in the middle is missing.
    """

    def __init__(self, project: Project, key: str) -> None:
        self._project = project
        self.place = f"{FOLDER}/{key}"
        self.folder = project.home / FOLDER / key
        names = [p.name for p in self.folder.glob("*.npz")]
        found = [match for name in sorted(names) if (match := _NAME.fullmatch(name))]
        numbers = sorted(int(match[1]) for match in found if not match[2])
        self._again = {int(match[1]) for match in found if match[2]}
        if numbers != list(range(1, len(numbers) + 1)):
            lost = next(k for k in range(1, len(numbers) + 1) if k not in numbers)
            raise self._damaged(f"night {lost} is missing from the ledger {self._shown()}")
        self._length = len(numbers)

    def __len__(self) -> int:
        """Return the number of nights."""
        return self._length

    def read(self, number: int) -> Entry:
        """Read a night as it was judged.

        Raises:
            SchemaMismatch: the file is damaged, was edited, or is of another version.
        """
        return self._read(self.folder / f"{number:06d}.npz")

    def latest(self, number: int) -> Entry:
        """Read a night as it was measured last.

        Raises:
            SchemaMismatch: a file is damaged, was edited, or is of another version.
        """
        if number in self._again:
            return self._read(self.folder / f"{number:06d}.again.npz")
        return self.read(number)

    @property
    def corrected(self) -> tuple[int, ...]:
        """The numbers of the nights that were measured again."""
        return tuple(sorted(self._again))

    def append(self, card: dict[str, Any], arrays: Arrays) -> None:
        """Add the next night in one step.

        Raises:
            StoreUnavailable: the place cannot be written.
        """
        self._write(f"{self._length + 1:06d}.npz", card, arrays)
        self._length += 1

    def correct(self, number: int, card: dict[str, Any], arrays: Arrays) -> None:
        """Put down what a judged night's rows amount to by now.

        Raises:
            StoreUnavailable: the place cannot be written.
        """
        self._write(f"{number:06d}.again.npz", card, arrays)
        self._again.add(number)

    def _write(self, name: str, card: dict[str, Any], arrays: Arrays) -> None:
        content = {**arrays, "card": _bytes(json.dumps({**card, "format": FORMAT}, sort_keys=True))}
        content["hash"] = _bytes(_hash(content))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **content)  # type: ignore[arg-type]
        path = self._project.folder(self.place) / name
        part = path.with_suffix(".part")
        try:
            part.write_bytes(buffer.getvalue())
            part.replace(path)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {path} ({error.strerror})", "free some space and run it again"
            ) from error

    def _read(self, path: Path) -> Entry:
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                arrays: Arrays = {key: stored[key] for key in stored.files}
            said = arrays.pop("hash").tobytes().decode()
            intact = _hash(arrays) == said
            card = json.loads(arrays.pop("card").tobytes())
            known = intact and card["format"] == FORMAT
        except Exception as error:  # damaged bytes make zipfile and numpy raise nearly anything
            raise self._damaged(f"{self._project.shown(path)} is damaged") from error
        if not known:
            raise self._damaged(
                f"{self._project.shown(path)} is damaged, edited, or of another version"
            )
        return Entry(card, arrays)

    def _damaged(self, what: str) -> SchemaMismatch:
        return SchemaMismatch(
            what,
            f"restore it from a copy, or remove the folder {self._shown()} to begin a new watch "
            "with a new budget",
        )

    def _shown(self) -> str:
        return self._project.shown(self.folder)


def day_digests(project: Project, window: Window) -> dict[str, tuple[int, str]]:
    """Return per UTC day of a window the number of rows and a checksum of their contents.

    Rows without a time belong to no day. The engine adds the digests up, so that no row is read.

    Raises:
        StoreUnavailable: nothing has been ingested yet.
        ConfigError: `where` is no valid condition.
    """
    digit = "CAST(strpos('0123456789abcdef', substr(content_digest, {k}, 1)) AS BIGINT) * {power}"
    digits = (digit.format(k=k + 1, power=16**k) for k in range(_HEX_DIGITS))
    found = tables.select(
        project.interactions,
        "SELECT CAST(CAST(request_time AS DATE) AS VARCHAR) AS day, COUNT(*) AS n, "
        f"SUM({' + '.join(digits)}) AS checksum FROM rows "
        f"WHERE request_time IS NOT NULL AND {where_clause(window)} GROUP BY 1 ORDER BY 1",
    )
    if found is None:
        raise StoreUnavailable(
            f"nothing has been ingested into {project.place} yet", "begin with: loopllm ingest FILE"
        )
    return {row["day"]: (row["n"], f"{row['checksum']:x}") for row in found.to_pylist()}


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _hash(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()
