"""Make a model of some thousand parameters and pairs for it, in about a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loopllm_cli.correct import Recipe

Rows = Sequence[dict[str, Any]]

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
WORDS = ("order", "refund", "city", "hours", "agent", "parcel")
RECIPE = Recipe(
    min_steps=0,
    learning_rate=1e-2, epochs=2.0, batch_size=8, micro_batch_size=8, rank=4, alpha=8,
    max_length=128, gradient_checkpointing=False, threads=1, kl_limit=1.0, checkpoints=3,
)  # fmt: skip
WEIGHTS = "adapter_model.safetensors"


def make_tokenizer(template: str | None = TEMPLATE, eos: str | None = "<|end|>") -> Any:
    """Train a byte-level tokenizer on a few words."""
    pytest.importorskip("transformers", reason="needs the training extra")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"where is my {word}? yes no" for word in WORDS], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token=eos,
        additional_special_tokens=SPECIAL[2:],
        chat_template=template,
    )


def make_model(tokenizer: Any, seed: int = 0) -> Any:
    """Make an untrained Llama with two layers."""
    torch = pytest.importorskip("torch", reason="needs the training extra")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).eval()


def pair(prompt: str, chosen: str | None, rejected: str | None) -> dict[str, Any]:
    """Return one row as the pairs folder holds it."""
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


def good_pairs(n: int, start: int = 0) -> list[dict[str, Any]]:
    """Return pairs that all ask for "yes" instead of "no"."""
    return [
        pair(f"where is my {WORDS[i % len(WORDS)]} {i}?", f"yes {i}", f"no, never {i}")
        for i in range(start, start + n)
    ]


def liked(n: int) -> list[dict[str, Any]]:
    """Return retention rows."""
    rows = [pair(f"open on day {i}?", f"yes, at {i}", "-") for i in range(n)]
    return [{"prompt": row["prompt"], "chosen": row["chosen"]} for row in rows]


_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def write_rows(path: Path, rows: Rows, columns: Sequence[str]) -> None:
    """Write rows as the pairs folder holds them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, _MESSAGES) for name in columns])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def vote(prompt: str, completion: str | None, label: bool | None) -> dict[str, Any]:
    """Return one judged answer as the pairs folder holds it."""
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": completion}],
        "label": label,
        "weight": 1.0,
    }


def write_votes(path: Path, rows: Rows) -> None:
    """Write judged answers as the pairs folder holds them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [
            ("prompt", _MESSAGES),
            ("completion", _MESSAGES),
            ("label", pa.bool_()),
            ("weight", pa.float64()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def write_provenance(folder: Path, made: Sequence[tuple[str, str]]) -> None:
    """Write which rule made which row, as (split, rule) in the order of the data."""
    rows = [{"split": split, "rule": rule} for split, rule in made]
    pq.write_table(pa.Table.from_pylist(rows), folder / "provenance.parquet")
