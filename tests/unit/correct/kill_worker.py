"""Train a micro model and die by SIGKILL at a step; not a test itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from micro import RECIPE

from loopllm_cli.correct import Progress, TrainRequest
from loopllm_cli.correct.train import build_adapter


def main(model: str, pairs: Path, out: Path, step: int) -> None:
    """Train until the step, then die without a word."""

    def die(progress: Progress) -> None:
        if progress.phase == "training" and progress.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    build_adapter(TrainRequest(model, pairs, out, RECIPE), die)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
