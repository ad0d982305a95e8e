"""Read what a model is made of from its configuration and file headers, without its weights.

Must not import: torch and its relatives at the top (a hub model is sized up by transformers).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.correct.model_files import hub_error, local_folder
from loopllm_cli.errors import ModelUnusable

Shapes = Mapping[str, tuple[int, ...]]

# A header longer than this is no header: the format itself allows 100 MB.
# Source: safetensors, "Format", https://huggingface.co/docs/safetensors.
MAX_HEADER = 100_000_000
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.\d+\.")
_EMBEDDING = re.compile(r"(embed_tokens|wte|word_embeddings|embed_in)\.weight$")
_HEAD = re.compile(r"(^|\.)(lm_head|embed_out|output)\.weight$")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What memory and time of training a model depend on.

    `linear` holds the (out, in) sizes of every linear layer inside the blocks, which are the ones
    that "all-linear" adapts. `n_parameters` counts tied embeddings once.
    """

    n_parameters: int
    n_embedding: int
    n_head: int
    linear: tuple[tuple[int, int], ...]
    n_layers: int
    hidden_size: int
    intermediate_size: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    bytes_per_weight: float
    tied: bool
    model_type: str
    is_quantized: bool = False

    @property
    def n_linear(self) -> int:
        """Parameters in the linear layers of the blocks: what 4-bit storage shrinks."""
        return sum(n_out * n_in for n_out, n_in in self.linear)

    def lora_parameters(self, rank: int) -> int:
        """Return the parameters of an adapter on all linear layers.

        Source: Hu et al. (2021) arXiv 2106.09685, section 4.1: r * (d + k) for a d x k matrix.
        """
        return sum(rank * (n_out + n_in) for n_out, n_in in self.linear)


def read_model_facts(model: str) -> ModelFacts:
    """Read a model's facts from config.json and the headers of its safetensors files.

    Args:
        model: folder or hub name; of a hub model only the configuration is read.

    Raises:
        ModelUnusable: the files cannot be read or do not describe a model.
    """
    folder = local_folder(model)
    if folder is None:
        return _facts_of_hub_model(model)
    config = _read_json(folder / "config.json")
    shapes: dict[str, tuple[int, ...]] = {}
    n_bytes = 0
    for path in sorted(folder.glob("*.safetensors")):
        for name, shape, size in _header(path):
            shapes[name] = shape
            n_bytes += size
    if not shapes:
        raise ModelUnusable(f"{folder} holds no *.safetensors weights", "copy the whole folder")
    return facts_from(config, shapes, n_bytes / max(1, sum(map(math.prod, shapes.values()))))


def facts_from(config: Mapping[str, Any], shapes: Shapes, bytes_per_weight: float) -> ModelFacts:
    """Derive the facts from a configuration and the shapes of the weights.

    Args:
        config: as in config.json; a model of several kinds keeps its text part in `text_config`.
        shapes: of every stored weight, by name.
        bytes_per_weight: as stored.

    Raises:
        ModelUnusable: the configuration lacks the sizes, or no linear layer is found.
    """
    text = {**config, **config.get("text_config", {})}
    embedding = sum(math.prod(shape) for name, shape in shapes.items() if _EMBEDDING.search(name))
    head = sum(math.prod(shape) for name, shape in shapes.items() if _HEAD.search(name))
    linear = tuple(_linear_shapes(shapes))
    if not linear:
        raise ModelUnusable(
            "the weights hold no linear layers inside numbered blocks",
            "use a decoder-only transformer that the installed transformers knows",
        )
    hidden = _size(text, "hidden_size", "n_embd", "d_model")
    heads = _size(text, "num_attention_heads", "n_head")
    tied = not head
    return ModelFacts(
        n_parameters=sum(math.prod(shape) for shape in shapes.values()),
        n_embedding=embedding,
        n_head=embedding if tied else head,
        linear=linear,
        n_layers=_size(text, "num_hidden_layers", "n_layer"),
        hidden_size=hidden,
        intermediate_size=int(text.get("intermediate_size") or text.get("n_inner") or 4 * hidden),
        n_heads=heads,
        n_kv_heads=int(text.get("num_key_value_heads") or heads),
        head_dim=int(text.get("head_dim") or hidden // heads),
        vocab_size=_size(text, "vocab_size"),
        bytes_per_weight=bytes_per_weight,
        tied=tied,
        model_type=str(text.get("model_type", "")),
        is_quantized=bool(config.get("quantization_config")),
    )


def _linear_shapes(shapes: Shapes) -> Iterator[tuple[int, int]]:
    for name, shape in sorted(shapes.items()):
        if not _LAYER.search(name) or not name.endswith("weight"):
            continue
        if len(shape) == 2:
            yield shape[0], shape[1]
        elif len(shape) == 3:  # experts stacked into one weight
            yield from [(shape[1], shape[2])] * shape[0]


def _header(path: Path) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Yield name, shape and bytes of every weight in a safetensors file.

    Source: safetensors, "Format": eight bytes with the header's length, then the header as JSON.
    """
    hint = "copy the model folder again"
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER, path.stat().st_size - 8):
                raise ModelUnusable(f"{path} is not a whole safetensors file", hint)
            header = json.loads(stream.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            shape = tuple(int(n) for n in entry["shape"])
            start, end = entry["data_offsets"]
            yield name, shape, int(end) - int(start)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnusable(f"the header of {path} cannot be read: {error}", hint) from error


def _facts_of_hub_model(model: str) -> ModelFacts:
    """Size up a model by its configuration: torch's meta device holds shapes and no numbers."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        with torch.device("meta"):
            built = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise hub_error(model, error) from error
    shapes = {name: tuple(weight.shape) for name, weight in built.named_parameters()}
    stored = str(getattr(config, "dtype", None) or "float32")
    return facts_from(config.to_dict(), shapes, 4.0 if "32" in stored else 2.0)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnusable(f"{path} cannot be read: {error}", "copy it again") from error
    if not isinstance(content, dict):
        raise ModelUnusable(f"{path} does not hold a JSON object", "copy it again")
    return content


def _size(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    raise ModelUnusable(
        f"config.json has no usable {names[0]}",
        "use a decoder-only transformer that the installed transformers knows",
    )
