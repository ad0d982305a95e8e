"""Offer the two commands of the sample world: build it, and score a model on its canaries."""

import argparse
import json
from pathlib import Path


def main() -> None:
    """Run the command given on the command line."""
    arguments = _parser().parse_args()
    # PyTorch takes seconds to import, which `--help` should not cost.
    if arguments.command == "build":
        from scripts.world.build import build

        build(arguments.seed, arguments.out)
        return
    from scripts.world.canaries import read_canaries
    from scripts.world.decode import score

    canaries = read_canaries(arguments.canaries)
    print(json.dumps(score(arguments.model, arguments.adapter, canaries), indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.world", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build a whole sample world")
    build.add_argument("--seed", type=int, default=0)
    build.add_argument("--out", type=Path, default=Path("sample_data"))
    score = commands.add_parser("score", help="print the share of right answers per intent")
    score.add_argument("--model", type=Path, required=True)
    score.add_argument("--adapter", type=Path)
    score.add_argument("--canaries", type=Path, default=Path("sample_data/canaries.jsonl"))
    return parser


if __name__ == "__main__":
    main()
