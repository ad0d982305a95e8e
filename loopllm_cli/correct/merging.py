"""Merge an adapter into its model, and show that the result answers like the two together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from loopllm_cli.correct.adapter_loading import load_with_adapter
from loopllm_cli.correct.card import merged_card
from loopllm_cli.correct.loading import load_model, load_tokenizer
from loopllm_cli.correct.model_files import file_sha256, local_folder
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.errors import AdapterMismatch, AlreadyExists, ModelUnusable, StoreUnavailable
from loopllm_cli.model import MergeResult

# Of the largest logit, in float32. Sums in another order differ by about 1e-7 per operation;
# measured on a model of 1 M parameters were 9.5e-6 at logits up to 19, 5e-7 of them.
TOLERANCE = 1e-4
_PROBE = "Merged and unmerged must answer alike: 1 2 3."


def merge_adapter(adapter: Path, model: str, out: Path) -> MergeResult:
    """Merge an adapter into its base model and write a plain model folder.

    The sum is computed in float32 on the CPU and stored in the base's own number format. The
    folder appears whole, after it was loaded again and compared.

    Raises:
        AlreadyExists: `out` is there already.
        ModelUnusable: the base is quantised or cannot be loaded.
        AdapterMismatch: the adapter does not fit, or the merged model answers differently.
    """
    if out.exists():
        raise AlreadyExists(f"{out} exists already", "choose another folder with --out")
    _refuse_quantised(model)
    tokenizer = load_tokenizer(model)
    wrapped = load_with_adapter(model, adapter, "cpu")
    dtype = _stored_dtype(wrapped)
    wanted = _logits(wrapped, tokenizer)
    merged = wrapped.merge_and_unload(safe_merge=True)
    difference, limit = _largest(_logits(merged, tokenizer), wanted)
    if difference > limit:
        raise AdapterMismatch(
            f"the merged model's logits differ by {difference:.3g} (at most {limit:.3g})",
            "serve the adapter beside its model instead of merging it",
        )
    part = out.with_name(out.name + ".partial")
    try:
        shutil.rmtree(part, ignore_errors=True)
        _write(merged, tokenizer, dtype, part)
        (part / "README.md").write_text(merged_card(adapter, model, dtype), encoding="utf-8")
        shutil.copyfile(adapter / "lineage.json", part / "lineage.json")
        _check_stored(merged, part)
        after, _ = _largest(_logits(load_model(str(part), "cpu"), tokenizer), wanted)
        part.rename(out)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {out} ({error.strerror})", "free some space or choose another place"
        ) from error
    digest = file_sha256(adapter / "adapter_model.safetensors")
    return MergeResult(
        str(out), model, str(adapter), digest, dtype, difference, after, limit
    )  # fmt: skip


def _refuse_quantised(model: str) -> None:
    from transformers import AutoConfig

    folder = local_folder(model)
    with quiet():
        config = AutoConfig.from_pretrained(str(folder or model), trust_remote_code=False)
    if getattr(config, "quantization_config", None) is not None:
        raise ModelUnusable(
            f"{model} is quantised: merging into it would round the correction away",
            "merge into the unquantised model with --model and quantise the result",
        )


def _stored_dtype(model: Any) -> str:
    folder = local_folder(str(model.config._name_or_path))
    content = json.loads((folder / "config.json").read_text("utf-8")) if folder else {}
    named = str(content.get("dtype") or content.get("torch_dtype") or "float32")
    return named if named in ("float32", "bfloat16", "float16") else "float32"


def _write(model: Any, tokenizer: Any, dtype: str, part: Path) -> None:
    import torch

    with quiet():
        model.to(getattr(torch, dtype)).save_pretrained(str(part))
        tokenizer.save_pretrained(str(part))


def _check_stored(model: Any, part: Path) -> None:
    """Compare every stored weight with the rounded one: the files hold what was merged."""
    import torch

    again = load_model(str(part), "cpu").state_dict()
    for name, weight in model.state_dict().items():
        if not torch.equal(again[name], weight.float()):
            raise AdapterMismatch(
                f"{name} is not in {part} as it was merged", "merge again, on another disk"
            )


def _logits(model: Any, tokenizer: Any) -> Any:
    import torch

    said = [{"role": "user", "content": _PROBE}]
    text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


def _largest(found: Any, wanted: Any) -> tuple[float, float]:
    return float((found - wanted).abs().max()), TOLERANCE * float(wanted.abs().max())
