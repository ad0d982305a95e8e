"""A model of some thousand parameters, and pairs folders for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from micro import RECIPE, Rows, good_pairs, liked, make_model, make_tokenizer, pair, write_rows

from loopllm_cli.correct import TrainRequest
from loopllm_cli.model import AdapterCard


@pytest.fixture(autouse=True)
def _one_thread(request: pytest.FixtureRequest) -> None:
    """Keep tiny matrices on one thread, where they are fastest and always the same."""
    if request.node.get_closest_marker("train"):
        torch = pytest.importorskip("torch", reason="needs the training extra")
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Return the micro model's tokenizer."""
    return make_tokenizer()


@pytest.fixture(scope="session")
def micro_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """Return the folder of an untrained micro model."""
    folder = tmp_path_factory.mktemp("micro") / "model"
    make_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def make_pairs(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a pairs folder."""

    def make(
        train: Rows,
        test: Rows = (),
        retention: Rows = (),
        columns: Sequence[str] = ("prompt", "chosen", "rejected"),
        name: str = "pairs",
    ) -> Path:
        folder = tmp_path / name
        write_rows(folder / "data" / "train.parquet", train, columns)
        write_rows(folder / "data" / "test.parquet", test, ("prompt", "chosen", "rejected"))
        if retention:
            write_rows(folder / "data" / "retention.parquet", retention, ("prompt", "chosen"))
        card = {
            "content_hash": "sha256:pairs",
            "baseline_name": "march",
            "drift_run_id": "drift-1",
            "by_rule": {"correction": len(train)},
        }
        (folder / "card.json").write_text(json.dumps(card))
        return folder

    return make


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pairs folder with everything in it."""
    folder = tmp_path_factory.mktemp("pairs")
    columns = ("prompt", "chosen", "rejected")
    write_rows(folder / "data" / "train.parquet", [*good_pairs(30), pair("a", "b", "b")], columns)
    write_rows(folder / "data" / "test.parquet", good_pairs(10, 100), columns)
    write_rows(folder / "data" / "retention.parquet", liked(40), columns[:2])
    card = {
        "content_hash": "sha256:pairs",
        "baseline_name": "march",
        "drift_run_id": "drift-1",
        "by_rule": {"correction": 30},
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, micro_model: Path, pairs: Path
) -> AdapterCard:
    """Return the card of one finished run."""
    from loopllm_cli.correct.train import build_adapter

    out = tmp_path_factory.mktemp("trained") / "adapter"
    return build_adapter(TrainRequest(str(micro_model), pairs, out, RECIPE))
