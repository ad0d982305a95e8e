"""Read an export with Axolotl's own loader for preference data, with the exported configuration."""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"

import axolotl
import yaml
from axolotl.utils.data.rl import prepare_preference_datasets
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.datasets import DPODataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

START, END = "<|im_start|>", "<|im_end|>"


def main(folder):
    """Print the rows of every file."""
    with tempfile.TemporaryDirectory() as place:
        cfg = configuration(Path(folder), Path(place))
        tokenizer = make_tokenizer(cfg)
        loaded = prepare_preference_datasets(cfg, tokenizer)
    names = ("pairs_train.jsonl", "pairs_test.jsonl")
    files = {
        name: [plain(row) for row in rows]
        for name, rows in zip(names, loaded, strict=True)
        if rows is not None
    }
    print(json.dumps({"version": f"axolotl {axolotl.__version__}", "files": files}))


def configuration(folder, place):
    """Return the exported configuration, completed with what every run has."""
    cfg = yaml.safe_load((folder / "axolotl.yaml").read_text(encoding="utf-8"))
    for dataset in (*cfg["datasets"], *cfg.get("test_datasets", [])):
        DPODataset.model_validate(dataset)
        dataset["path"] = str(folder / dataset["path"])
    return DictDefault(
        {
            **cfg,
            "base_model": str(place),
            "tokenizer_config": str(place),
            "chat_template": "chatml",
            "sequence_len": 1_000_000,
            "dataset_num_proc": 1,
            "dataset_prepared_path": str(place / "prepared"),
            "is_preprocess": True,
        }
    )


def make_tokenizer(cfg):
    """Make a tokenizer of bytes, which any text fits."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=["<pad>", START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([], trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token=END)
    made.save_pretrained(cfg.base_model)
    (Path(cfg.base_model) / "config.json").write_text('{"model_type": "llama"}')
    return made


def plain(row):
    """Take ChatML apart again."""
    turns = row["prompt"].split(START)
    assert turns[0] == ""
    assert turns.pop() == "assistant\n"
    prompt = []
    for turn in turns[1:]:
        role, text = turn.split("\n", 1)
        assert text.endswith(f"{END}\n")
        prompt.append([role, text.removesuffix(f"{END}\n"), []])
    sides = []
    for side in (row["chosen"], row["rejected"]):
        assert side.endswith(END)
        sides.append([["assistant", side.removesuffix(END), []]])
    return {"prompt": prompt, "sides": sides, "label": None, "tools": []}


if __name__ == "__main__":
    main(sys.argv[1])
