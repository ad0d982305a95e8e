"""Read an export with `datasets.load_dataset`, as TRL's trainers are given it."""

import json
import sys

import datasets
import trl
from trl.data_utils import is_conversational

FILES = {
    ("default", "train"): "pairs_train.jsonl",
    ("default", "test"): "pairs_test.jsonl",
    ("unpaired", "train"): "unpaired_train.jsonl",
}


def main(folder):
    """Print the rows of every split."""
    datasets.disable_progress_bars()
    files = {}
    for config in datasets.get_dataset_config_names(folder):
        for split, rows in datasets.load_dataset(folder, config).items():
            files[FILES[config, split]] = [plain(row) for row in rows]
    print(json.dumps({"version": f"trl {trl.__version__}, datasets {datasets.__version__}",
                      "files": files}))  # fmt: skip


def plain(row):
    """Lay a row out as the check compares it."""
    assert is_conversational(row)
    sides = [name for name in ("chosen", "rejected", "completion") if name in row]
    return {
        "prompt": [said(message) for message in row["prompt"]],
        "sides": [[said(message) for message in row[side]] for side in sides],
        "label": row.get("label"),
        "tools": row.get("tools") or [],
    }


def said(message):
    """Return a message's role, text and calls."""
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return [message["role"], message["content"], [[c["name"], c["arguments"]] for c in calls]]


if __name__ == "__main__":
    main(sys.argv[1])
