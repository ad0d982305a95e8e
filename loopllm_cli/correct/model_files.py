"""Look at a model's files before torch does: is it whole, is it safe, which model is it.

Must not import: torch and its relatives (the hub's config lookup is imported when asked for).
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from loopllm_cli.errors import ModelUnusable

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PICKLES = ("*.bin", "*.pt", "*.pth")


def local_folder(model: str) -> Path | None:
    """Return the model's folder, or None for what can only be a name on the model hub.

    Raises:
        ModelUnusable: the text is a path, and nothing is there.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    is_path = model.startswith((".", "/", "~")) or not _HUB_NAME.fullmatch(model)
    if is_path or folder.exists():
        raise ModelUnusable(
            f"no model folder at {model}",
            "give the folder that holds config.json and *.safetensors, or a hub name",
        )
    return None


def check_folder(folder: Path) -> None:
    """Refuse a model folder that cannot be loaded, or only by running code that came with it.

    Raises:
        ModelUnusable: with the remedy.
    """
    if (folder / "adapter_config.json").is_file():
        raise ModelUnusable(
            f"{folder} is an adapter, not a model",
            "give the model it was trained on as the model, and this folder as the adapter",
        )
    config = _read_config(folder / "config.json")
    if "auto_map" in config and not _is_known_type(str(config.get("model_type", ""))):
        raise ModelUnusable(
            f"{folder} can only be loaded by running Python code that comes with it",
            "loopllm never runs code from a model folder; use an architecture that the installed "
            "transformers knows",
        )
    if any(folder.glob("*.safetensors")):
        return
    if any(path for pattern in _PICKLES for path in folder.glob(pattern)):
        raise ModelUnusable(
            f"{folder} has its weights only as pickle files, which can run code when loaded",
            "convert them once where you trust them: load the model and call save_pretrained, "
            "which writes safetensors",
        )
    raise ModelUnusable(f"{folder} holds no *.safetensors weights", "copy the whole model folder")


def model_hash(model: str) -> str:
    """Return a fingerprint of the weights and configuration of a model.

    Returns:
        For a folder `sha256:...` over config.json and every safetensors file and index, by name
        and content; for a hub name `commit:...`, the commit that the name stands for here.

    Raises:
        ModelUnusable: the model cannot be found.
    """
    folder = local_folder(model)
    if folder is None:
        return f"commit:{_hub_commit(model)}"
    files = [folder / "config.json", *folder.glob("*.safetensors"), *folder.glob("*.index.json")]
    digest = hashlib.sha256()
    for path in sorted(files):
        if not path.is_file():
            raise ModelUnusable(f"{folder} has no {path.name}", "copy the whole model folder")
        digest.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelUnusable(
            f"{path.parent} has no config.json",
            "give the folder written by save_pretrained, or a hub name",
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelUnusable(f"{path} is not valid JSON: {error}", "copy it again") from error
    return config if isinstance(config, dict) else {}


def _is_known_type(model_type: str) -> bool:
    from transformers import CONFIG_MAPPING

    return model_type in CONFIG_MAPPING


def _hub_commit(model: str) -> str:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise hub_error(model, error) from error
    commit = getattr(config, "_commit_hash", None)
    if not commit:
        raise ModelUnusable(
            f"the hub did not say which commit {model!r} stands for",
            "download the model and give its folder",
        )
    return str(commit)


def hub_error(model: str, error: Exception) -> ModelUnusable:
    """Turn what transformers says about a model it cannot load into our error."""
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    if "trust_remote_code" in str(error):
        return ModelUnusable(
            f"{model} can only be loaded by running Python code that comes with it",
            "loopllm never runs such code; use an architecture that transformers knows",
        )
    if "safetensors" in str(error):
        return ModelUnusable(
            f"{model} has no safetensors weights", "convert them once with save_pretrained"
        )
    return ModelUnusable(
        f"cannot load {model}: {first}",
        "give a folder with config.json, tokenizer and *.safetensors, or the name of a model on "
        "the hub that is reachable from here",
    )
