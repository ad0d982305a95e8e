"""Ask a user's own judge program for scores of answers."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from loopllm_cli.config import PairsConfig
from loopllm_cli.errors import ConfigError
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.evidence.answer import Answer


def judge_scores(config: PairsConfig, answers: Sequence[Answer]) -> npt.NDArray[np.float64]:
    """Return a score from 0 to 1 per answer, NaN where the judge gave none that can be used.

    The program gets one JSON object per line, `{"id", "prompt": [messages], "completion"}`, and
    writes `{"id", "score"}` lines in any order. No shell is involved.

    Raises:
        ConfigError: it cannot be started, fails, or takes longer than `judge_seconds`.
    """
    lines = "".join(
        json.dumps(
            {
                "id": str(i),
                "prompt": to_messages(answer.input_messages) or (),
                "completion": answer.text,
            }
        )
        + "\n"
        for i, answer in enumerate(answers)
    )
    try:
        done = subprocess.run(
            shlex.split(config.judge),
            input=lines,
            capture_output=True,
            text=True,
            timeout=config.judge_seconds,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(config, f"took longer than {config.judge_seconds:g} s") from error
    except subprocess.CalledProcessError as error:
        raise _failed(config, f"ended with code {error.returncode}") from error
    except (OSError, ValueError, IndexError) as error:
        raise _failed(config, f"cannot be run ({error})") from error
    scores = np.full(len(answers), np.nan)
    for place, score in _read(done.stdout, len(answers)):
        scores[place] = score
    return scores


def _read(output: str, n: int) -> Iterator[tuple[int, float]]:
    """Yield the scores that can be used."""
    for line in output.splitlines():
        try:
            said = json.loads(line)
            place, score = int(said["id"]), float(said["score"])
        except (ValueError, KeyError, TypeError):
            continue
        if 0 <= place < n and math.isfinite(score) and 0 <= score <= 1:
            yield place, score


def _failed(config: PairsConfig, why: str) -> ConfigError:
    return ConfigError(
        f"the judge {config.judge!r} {why}",
        "it reads one JSON object per line and writes one with id and score for each; "
        "see docs/pairs-from-drift.md",
    )
