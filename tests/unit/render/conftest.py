"""Goldens of this room: compare, or rewrite with LOOPLLM_UPDATE_GOLDEN=1."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

GOLDEN = Path(__file__).parents[2] / "golden" / "render"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    def check(name: str, actual: str) -> None:
        path = GOLDEN / name
        if os.environ.get("LOOPLLM_UPDATE_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(actual, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == actual

    return check


@pytest.fixture
def written() -> Callable[..., str]:
    """Run a writer on a console and return what it wrote."""

    def write(writer: Callable[..., None], *args: Any, width: int = 80, **options: Any) -> str:
        file = io.StringIO()
        settings: dict[str, Any] = {"color_system": None}
        if options.pop("color", False):
            settings = {"color_system": "standard", "force_terminal": True, "no_color": False}
        writer(Console(file=file, width=width, **settings), *args, **options)
        return file.getvalue()

    return write
