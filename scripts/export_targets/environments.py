"""The tools' environments: one virtual environment each, from pinned requirements.

Axolotl and LLaMA-Factory ask for a hundred packages, of which their loaders import a few. These
are pinned one by one and installed without what they ask for in turn; torch and the like are those
of the environment that runs this script, which stands behind theirs.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
OWN = ("trl",)
"""Read in the environment that runs this script: it is what loopllm itself trains with."""
BORROWING = ("axolotl", "llamafactory")


def make_environment(folder: Path, tool: str) -> tuple[Path, str]:
    """Create a tool's environment, if it is not there yet.

    Returns:
        Its interpreter, and why it could not be made (empty, if it could).
    """
    if tool in OWN:
        return Path(sys.executable), ""
    place = folder / tool
    python = place / "bin" / "python"
    if (place / "made").exists():
        return python, ""
    venv.create(place, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "-r"]
    command.append(str(REQUIREMENTS / f"{tool}.txt"))
    done = subprocess.run(
        [*command, "--no-deps"] if tool in BORROWING else command,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return python, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    if tool in BORROWING:
        (own,) = (place / "lib").glob("python*/site-packages")
        (own / "behind.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    (place / "made").touch()
    return python, ""
