"""Load a model with an adapter that was made for it, and beside it the one that is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loopllm_cli.correct.extra import require_extra
from loopllm_cli.correct.loading import load_model
from loopllm_cli.correct.model_files import file_sha256, model_hash
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.errors import AdapterMismatch

WEIGHTS = "adapter_model.safetensors"
SERVED = "served"
"""The name of the adapter that production answers with, beside the one that is looked at."""


def load_with_adapter(
    model: str, adapter: Path, device: str = "auto", served: Path | None = None
) -> Any:
    """Load a model with an adapter on it, after making sure that they belong together.

    Args:
        model: a folder or a hub name.
        adapter: the adapter that is active.
        device: as of `load_model`.
        served: another one, which `generate.as_served` switches to.

    Raises:
        MissingExtra: the training extra is not installed.
        ModelUnusable: the model cannot be found or loaded.
        AdapterMismatch: the adapter is not whole, or was made for another model.
    """
    require_extra()
    named = {"default": adapter} | ({SERVED: served} if served else {})
    for folder in named.values():
        check_adapter(model, folder)
    loaded = load_model(model, device)
    for name, folder in named.items():
        loaded = _put_on(loaded, name, folder, model)
    return loaded.eval()


def _put_on(loaded: Any, name: str, adapter: Path, model: str) -> Any:
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict
    from safetensors import safe_open

    try:
        with quiet():
            if isinstance(loaded, PeftModel):
                loaded.load_adapter(str(adapter), adapter_name=name, is_trainable=False)
                wrapped = loaded
            else:
                wrapped = PeftModel.from_pretrained(loaded, str(adapter), adapter_name=name)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise AdapterMismatch(
            f"{adapter} does not fit {model}: {str(error).strip().splitlines()[0]}",
            "load it on the model named in its lineage.json",
        ) from error
    with safe_open(str(adapter / WEIGHTS), framework="pt") as weights:
        in_file = set(weights.keys())
    # PEFT only warns about names it cannot place, and an adapter without weights does nothing.
    if in_file != set(get_peft_model_state_dict(wrapped, adapter_name=name)):
        raise AdapterMismatch(
            f"the weights in {adapter} have other names than the layers of {model}",
            "train the adapter again on this model",
        )
    return wrapped


def check_adapter(model: str, adapter: Path) -> None:
    """Refuse an adapter that is not whole, was changed, or was made for another model.

    Raises:
        AdapterMismatch: with the remedy.
    """
    again = "make the adapter again: loopllm correct"
    if not adapter.is_dir():
        raise AdapterMismatch(f"no adapter folder at {adapter}", "make one: loopllm correct")
    _read_json(adapter / "adapter_config.json", again)
    lineage = _read_json(adapter / "lineage.json", again)
    weights = adapter / WEIGHTS
    if not weights.is_file():
        raise AdapterMismatch(f"{adapter} has no {WEIGHTS}", again)
    config = adapter / "adapter_config.json"
    # Lineages of earlier versions do not tell the configuration's hash.
    told = {weights: "adapter_sha256"} | (
        {config: "adapter_config_sha256"} if "adapter_config_sha256" in lineage else {}
    )
    for file, key in told.items():
        if file_sha256(file) != lineage.get(key):
            raise AdapterMismatch(
                f"{file} is not the file that lineage.json describes", f"copy it again, or {again}"
            )
    found = model_hash(model)
    if found != lineage.get("model_hash"):
        raise AdapterMismatch(
            f"{adapter} was made for {lineage.get('model')!r} ({_short(lineage)}), but {model} is "
            f"{found[:19]}",
            "give the model it was made for, or train an adapter for this one",
        )


def _read_json(path: Path, hint: str) -> dict[str, Any]:
    if not path.is_file():
        raise AdapterMismatch(f"{path.parent} has no {path.name}", hint)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AdapterMismatch(f"{path} is not valid JSON: {error}", hint) from error
    if not isinstance(content, dict):
        raise AdapterMismatch(f"{path} does not hold a JSON object", hint)
    return content


def _short(lineage: dict[str, Any]) -> str:
    return str(lineage.get("model_hash", "no hash"))[:19]
