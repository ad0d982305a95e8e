"""Write beside an adapter what it was made of: recipe, lineage, and a card for people.

Must not import: torch and its relatives.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loopllm_cli.correct.model_files import file_sha256
from loopllm_cli.correct.preflight import Preflight
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.correct.serving import RANKS
from loopllm_cli.model import AdapterCard

_VERIFIED = "## Verification"
_PRINTED = re.compile(r"[^\w .,:;()%<>=+/–…·→-]")


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything that is known about a finished run, except the hash of its weights."""

    path: Path
    model: str
    model_hash: str
    pairs_path: Path
    pairs_hash: str
    pairs_card: dict[str, Any]
    recipe: Recipe
    report: Preflight
    n_train: int
    n_retention: int
    n_steps: int
    seconds: float
    device: str
    versions: dict[str, str]
    metrics: dict[str, float]
    notes: tuple[str, ...]


def write_card(folder: Path, facts: CardFacts) -> AdapterCard:
    """Write `recipe.toml`, `lineage.json` and `README.md` into an adapter's folder.

    Args:
        folder: where the weights lie now; `facts.path` is where they will be.
        facts: of the finished run.

    Returns:
        The card, as commands and reports take it.
    """
    weights, recipe = folder / "adapter_model.safetensors", folder / "recipe.toml"
    adapter_hash = file_sha256(weights)
    recipe.write_text(recipe_toml(facts.recipe), encoding="utf-8")
    # safetensors writes for the owner alone; whoever may read the recipe may read the weights.
    weights.chmod(recipe.stat().st_mode)
    config = folder / "adapter_config.json"
    lineage = _lineage(facts, adapter_hash)
    # The settings scale the weights: a changed lora_alpha is another adapter of the same bytes.
    if config.is_file():
        lineage["adapter_config_sha256"] = file_sha256(config)
    (folder / "lineage.json").write_text(
        json.dumps(lineage, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    (folder / "README.md").write_text(_readme(facts, adapter_hash), encoding="utf-8")
    return AdapterCard(
        path=str(facts.path),
        model=facts.model,
        model_hash=facts.model_hash,
        pairs_path=str(facts.pairs_path),
        pairs_hash=facts.pairs_hash,
        baseline_name=facts.pairs_card.get("baseline_name"),
        drift_run_id=facts.pairs_card.get("drift_run_id"),
        method=facts.recipe.method,
        n_train=facts.n_train,
        n_steps=facts.n_steps,
        seconds=facts.seconds,
        device=facts.device,
        recipe=facts.recipe.as_dict(),
        versions=facts.versions,
        adapter_hash=adapter_hash,
        final_metrics=dict(facts.metrics),
        notes=facts.notes,
    )


def recipe_toml(recipe: Recipe) -> str:
    """Return a recipe as TOML that `load_recipe` reads back to the same recipe."""
    # JSON's strings, numbers, booleans and flat lists are TOML's too.
    lines = [f"{key} = {json.dumps(value)}" for key, value in recipe.as_dict().items()]
    return "[correct]\n" + "\n".join(lines) + "\n"


def _lineage(facts: CardFacts, adapter_hash: str) -> dict[str, Any]:
    card = facts.pairs_card
    return {
        "adapter_sha256": adapter_hash,
        "model": facts.model,
        "model_hash": facts.model_hash,
        "pairs_path": str(facts.pairs_path),
        "pairs_hash": facts.pairs_hash,
        "baseline_name": card.get("baseline_name"),
        "baseline_hash": card.get("baseline_hash"),
        "drift_run_id": card.get("drift_run_id"),
        "method": facts.recipe.method,
        "seed": facts.recipe.seed,
        "device": facts.device,
        "versions": facts.versions,
        "counts": {
            "read": facts.report.n_read,
            "trained": facts.n_train,
            "test": facts.report.n_test,
            "retention": facts.n_retention,
            "dropped": facts.report.dropped,
            "by_rule": card.get("by_rule", {}),
            "steps": facts.n_steps,
        },
        "metrics": facts.metrics,
        "notes": list(facts.notes),
        "seconds": round(facts.seconds, 3),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _readme(facts: CardFacts, adapter_hash: str) -> str:
    sections = [
        _front_matter(facts),
        f"# Correction for {facts.model}",
        _purpose(facts),
        "## Data\n\n" + _data(facts),
        "## Recipe\n\n```toml\n" + recipe_toml(facts.recipe) + "```",
        "## Measured while training\n\n" + _metrics(facts),
        "## Use\n\n" + _usage(facts),
        "## Limits\n\n" + _limits(facts),
        f"{_VERIFIED}\n\nNot yet verified. Run `loopllm verify` before serving it.\n\n"
        f"Weights: sha256 `{adapter_hash}`; everything else about their origin is in "
        f"`lineage.json`.",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(facts: CardFacts) -> str:
    return (
        f"---\nbase_model: {json.dumps(facts.model)}\nlibrary_name: peft\n"
        f"pipeline_tag: text-generation\ntags: [lora, {facts.recipe.method}, trl, loopllm]\n---"
    )


def _purpose(facts: CardFacts) -> str:
    card = facts.pairs_card
    text = (
        f"A LoRA adapter that teaches `{facts.model}` to prefer the better of two answers in "
        f"{facts.n_train} pairs that were built from feedback on logged traffic."
    )
    if card.get("drift_run_id"):
        text += f" It answers the drift found in run `{card['drift_run_id']}`"
        text += f" against baseline `{card.get('baseline_name') or 'unknown'}`."
    return text


def _data(facts: CardFacts) -> str:
    lines = ["| pairs | count |", "|---|---:|", f"| trained on | {facts.n_train} |"]
    for rule, n in sorted(facts.pairs_card.get("by_rule", {}).items()):
        lines.append(f"| found by rule `{rule}` | {n} |")
    for reason, n in facts.report.dropped.items():
        lines.append(f"| left out: {reason} | {n} |")
    lines.append(f"| held out | {facts.report.n_test} |")
    lines.append(f"| liked answers mixed in to hold other traffic | {facts.n_retention} |")
    return "\n".join(lines)


def _metrics(facts: CardFacts) -> str:
    rows = [f"| {name.replace('_', ' ')} | {value:.4g} |" for name, value in facts.metrics.items()]
    lines = ["| metric | value |", "|---|---:|", *rows, ""]
    lines.append(
        f"{facts.n_steps} steps in {facts.seconds:.0f} s on {facts.device}. None of these numbers "
        "says that the drift is repaired: reward accuracy reaches 1.0 in good and in ruinous runs "
        "alike. Only regenerated answers, compared segment by segment, do."
    )
    lines += [f"- {note}" for note in facts.notes]
    return "\n".join(lines)


def _usage(facts: CardFacts) -> str:
    return (
        "```python\n"
        "from peft import PeftModel\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f"model = AutoModelForCausalLM.from_pretrained({facts.model!r})\n"
        f"model = PeftModel.from_pretrained(model, {facts.path.name!r})\n"
        f"tokenizer = AutoTokenizer.from_pretrained({facts.model!r})\n"
        "```\n\n"
        f"{_serving(facts)}\n\n"
        "It fits this base only, down to the weights; merging it into a quantised copy changes "
        "its effect."
    )


def _serving(facts: CardFacts) -> str:
    name, model = facts.path.name, facts.model
    rank = next((one for one in RANKS if facts.recipe.rank <= one), facts.recipe.rank)
    return (
        "Served at run time by vLLM, or merged into a plain model that anything can serve:\n\n"
        f"```sh\nvllm serve {shlex.quote(model)} --enable-lora --max-lora-rank {rank} "
        f"--lora-modules {shlex.quote(f'{name}={name}')}\n"
        f"loopllm adapters merge {shlex.quote(name)} --out merged\n"
        "python convert_hf_to_gguf.py merged   # of llama.cpp, for GGUF\n```"
    )


def write_verification(folder: Path, record: dict[str, Any]) -> bool:
    """Write what a verification found into the model card of the adapter it is about.

    Args:
        record: of `loopllm verify`, of exactly these weights.

    Returns:
        Whether the card says it now; a folder that cannot be written stays as it is.
    """
    path = folder / "README.md"
    part = path.with_suffix(".part")
    try:
        text = path.read_text(encoding="utf-8")
        if not record or _VERIFIED not in text:
            return False
        part.write_text(text[: text.rindex(_VERIFIED)] + _verified(record), encoding="utf-8")
        part.replace(path)
    except (OSError, ValueError):
        return False
    return True


def _verified(record: dict[str, Any]) -> str:
    lines = [
        _VERIFIED,
        "",
        f"**{_plain(record.get('gate'))}** in `{_plain(record.get('run_id'))}` "
        f"({_plain(record.get('created'))[:10]}), for drift run "
        f"`{_plain(record.get('drift_run_id'))}`.",
        "",
    ]
    lines += [f"- {_plain(reason)}" for reason in record.get("reasons") or ()]
    lines += ["", "| check | verdict | what it showed |", "|---|---|---|"]
    for check in record.get("checks") or ():
        shown = (_plain(check.get(key)) for key in ("name", "gate", "text"))
        lines.append(f"| {' | '.join(shown)} |")
    lines += ["", f"Weights: sha256 `{_plain(record.get('adapter_hash'))}`; everything else about"]
    return "\n".join(lines) + " their origin is in `lineage.json`.\n"


def _plain(value: Any) -> str:
    # Labels of segments come from logs: nothing of theirs may be read as Markdown.
    return _PRINTED.sub("", " ".join(str(value).split())).replace("<", "&lt;")


def merged_card(adapter: Path, model: str, dtype: str) -> str:
    """Return the model card of a model that an adapter has been merged into."""
    digest = file_sha256(adapter / "adapter_model.safetensors")
    return (
        f"---\nbase_model: {json.dumps(model)}\nlibrary_name: transformers\n"
        "pipeline_tag: text-generation\ntags: [merged, loopllm]\n---\n\n"
        f"# `{_plain(model)}`, corrected\n\n"
        f"The weights of the base model plus the adapter `{_plain(adapter.name)}` (sha256 "
        f"`{digest}`), added in float32 and stored as {dtype}. What the adapter was made of is in "
        "`lineage.json`. Verification was done with the adapter beside the base model.\n"
    )


def _limits(facts: CardFacts) -> str:
    lines = [
        "- It corrects what the pairs show. Form and tone carry over to unseen values; facts do so "
        "only where a pair mentions them.",
        f"- Contexts longer than {facts.recipe.max_length} tokens were not seen while training.",
        "- The pairs are what people clicked and wrote; mistakes in them are learnt too.",
    ]
    if not facts.n_retention:
        lines.append("- No liked answers were mixed in: watch traffic outside the drift closely.")
    return "\n".join(lines)
