"""Signals from an embedding model, with a tiny one built here."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from signal_rows import batch_of

from loopllm_cli.errors import ConfigError, MissingExtra
from loopllm_cli.signals.catalogue import compute_signals, load_signals

WORDS = ("where", "is", "my", "order", "refund", "city", "hours", "open", "late")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the folder of an encoder of some thousand parameters."""
    torch = pytest.importorskip("torch", reason="needs the training extra")
    pytest.importorskip("transformers", reason="needs the training extra")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    torch.set_num_threads(1)
    vocabulary = {word: i for i, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("encoder") / "model"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).eval().save_pretrained(folder)
    return folder


def similar(model, **more):
    """Compute the similarity of three answers to their prompts or references."""
    table = {"kind": "embedding", "model": str(model), "worse": "down", **more}
    signals = load_signals({"near": table}, only=["near"])
    batch = batch_of(
        prompt_text=["where is my order", "city hours", "late", None],
        response_text=["where is my order", "refund my order " * 100, None, "late"],
        content_state=["full"] * 4,
        reference_answer=["city hours", None, "late", "late"],
    )
    return compute_signals(batch, signals)


@pytest.mark.train
def test_equal_texts_are_as_near_as_can_be(model):
    """Cosine similarity from 0 to 1, whatever the length; missing where a side is missing."""
    numbers, failures = similar(model)
    assert {} == failures
    column = numbers[:, 0]
    np.testing.assert_allclose(column[0], 1.0, atol=1e-5)
    assert 0 <= column[1] < 0.99
    np.testing.assert_equal(column[2:], [np.nan, np.nan])


@pytest.mark.train
def test_answers_are_compared_with_references_on_request(model):
    """Rows without a reference do not apply."""
    column = similar(model, compare="reference")[0][:, 0]
    assert 0 <= column[0] < 0.99
    np.testing.assert_equal(column[1:3], [np.nan, np.nan])
    np.testing.assert_allclose(column[3], 1.0, atol=1e-5)


@pytest.mark.train
def test_another_model_is_another_definition(model, tmp_path):
    """The weights are part of what is measured."""
    import shutil

    other = tmp_path / "model"
    shutil.copytree(model, other)
    with (other / "model.safetensors").open("ab") as file:
        file.write(b" ")
    tables = {n: {"kind": "embedding", "model": str(p)} for n, p in (("a", model), ("b", other))}
    signals = load_signals(tables)
    assert signals["a"].info.definition != signals["b"].info.definition


@pytest.mark.train
def test_a_folder_that_is_no_model_costs_its_own_signal_only(model, tmp_path):
    """The reason is the library's."""
    (tmp_path / "empty").mkdir()
    _, failures = similar(tmp_path / "empty")
    assert ["near"] == list(failures)


def test_what_cannot_work_is_said_at_once(monkeypatch):
    """A path to nothing, an unknown comparison, no library."""
    table = {"kind": "embedding", "model": "./no/such/folder"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(ConfigError, match="no folder"):
        load_signals({"near": table})
    with pytest.raises(ConfigError, match="compare"):
        load_signals({"near": {**table, "model": "a/b", "compare": "question"}})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        load_signals({"near": table})
    assert "pip install" in caught.value.hint
