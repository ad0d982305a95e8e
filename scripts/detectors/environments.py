"""The peers' environments: one virtual environment each, from pinned requirements."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from scripts.detectors.tools import PEERS

REQUIREMENTS = Path(__file__).parent / "requirements"


def make_environments(folder: Path, peers: tuple[str, ...] = PEERS) -> dict[str, str]:
    """Create the environments that are not there yet.

    Returns:
        Why an environment could not be made, by peer; empty where all could.
    """
    failures = {}
    for peer in peers:
        place = folder / peer
        if (place / "made").exists():
            continue
        venv.create(place, with_pip=True, clear=True)
        python, asked = place / "bin" / "python", REQUIREMENTS / f"{peer}.txt"
        command = [str(python), "-m", "pip", "install", "--quiet", "-r", str(asked)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            failures[peer] = done.stderr.strip().splitlines()[-1]
        else:
            (place / "made").touch()
    return failures
