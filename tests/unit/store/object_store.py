"""A local S3 server, and machines that share nothing but it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store_runs import KEY

_ROOT = Path(__file__).parents[3]
_START_S = 60.0


@contextmanager
def s3_server() -> Iterator[str]:
    """Start a server in a process of its own and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _await(port)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def _await(port: int) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def make_bucket(address: str, name: str) -> None:
    """Make an empty bucket."""
    request = urllib.request.Request(f"{address}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        pass


def settings(address: str) -> dict[str, str]:
    """Return the variables that lead to the server, with keys that it does not check."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up-too",
        "AWS_REGION": "us-east-1",
        # Nobody is asked for credentials where there are none.
        "AWS_METADATA_ENDPOINT": "http://127.0.0.1:1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Machine:
    """A machine of its own: another working directory, another home, the same object store.

    Args:
        folder: where its files go; made anew.
        variables: what leads to the object store.
        key: LOOPLLM_KEY; None keeps the key with the project.
    """

    def __init__(self, folder: Path, variables: dict[str, str], key: str | None = KEY) -> None:
        folder.mkdir()
        self.folder = folder
        plain = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "LOOPLLM_"))}
        self._env = {
            **plain,
            **variables,
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": str(_ROOT),
        }
        if key:
            self._env["LOOPLLM_KEY"] = key

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "loopllm_cli", *args],
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str) -> tuple[int, str, str]:
        """Run a command and return its code, its output and what it remarked."""
        process = self.start(*args)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err
