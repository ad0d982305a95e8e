"""Read an export with LLaMA-Factory's own loader, by the names in its `dataset_info.json`."""

import importlib.machinery
import json
import sys
import types
from pathlib import Path

# Wanted at import for sounds, which pairs do not have.
torchaudio = types.ModuleType("torchaudio")
torchaudio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = torchaudio

import datasets  # noqa: E402
from llamafactory.data.loader import _get_merged_dataset  # noqa: E402
from llamafactory.data.processor import (  # noqa: E402
    FeedbackDatasetProcessor,
    PairwiseDatasetProcessor,
)
from llamafactory.data.template import TEMPLATES  # noqa: E402
from llamafactory.extras.env import VERSION  # noqa: E402
from llamafactory.hparams import DataArguments, ModelArguments  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import PreTrainedTokenizerFast, TrainingArguments  # noqa: E402

ROLES = {"function": "assistant", "observation": "tool"}


def main(folder):
    """Print the rows of every entry, after its template has encoded all of them."""
    datasets.disable_progress_bars()
    files = {}
    for name, entry in json.loads((Path(folder) / "dataset_info.json").read_text()).items():
        stage = "rm" if entry.get("ranking") else "kto"
        data = DataArguments(dataset=name, dataset_dir=folder, template="qwen", cutoff_len=100_000)
        rows = _get_merged_dataset(
            data.dataset, ModelArguments(model_name_or_path="none"), data,
            TrainingArguments(output_dir="none"), stage,
        )  # fmt: skip
        encoded = encode(rows, data, stage)
        assert len(rows) == len(encoded), f"{name}: {len(rows) - len(encoded)} rows dropped"
        files[entry["file_name"]] = [plain(row, stage) for row in rows]
    print(json.dumps({"version": f"llamafactory {VERSION}", "files": files}))


def encode(rows, data, stage):
    """Encode rows as training does; rows that its loader found unfit are dropped here."""
    kind = PairwiseDatasetProcessor if stage == "rm" else FeedbackDatasetProcessor
    processor = kind(template=TEMPLATES["qwen"], tokenizer=make_tokenizer(), processor=None,
                     data_args=data)  # fmt: skip
    made = processor.preprocess_dataset(rows.to_dict())
    return made["chosen_input_ids" if stage == "rm" else "input_ids"]


def make_tokenizer():
    """Make a tokenizer of bytes, which any text fits."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<|im_end|>"
    )


def plain(row, stage):
    """Lay a row out as the check compares it."""
    system = [["system", row["_system"], []]] if row["_system"] else []
    sides, label = row["_response"], None
    if stage == "kto":
        # One of the two is empty: the first one is wanted, the second one is not.
        label = bool(sides[0]["content"])
        sides = [sides[0] if label else sides[1]]
    return {
        "prompt": system + [said(message) for message in row["_prompt"]],
        "sides": [[said(message)] for message in sides],
        "label": label,
        "tools": json.loads(row["_tools"] or "[]"),
    }


def said(message):
    """Return a message's role, text and calls."""
    role, text = ROLES.get(message["role"], message["role"]), message["content"]
    if message["role"] != "function":
        return [role, text, []]
    calls = json.loads(text)
    calls = calls if isinstance(calls, list) else [calls]
    return [role, "", [[call["name"], call["arguments"]] for call in calls]]


if __name__ == "__main__":
    main(sys.argv[1])
