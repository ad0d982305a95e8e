"""The project's key: what makes pseudonyms and tokens that nobody outside can guess or link."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from loopllm_cli.errors import SetupError
from loopllm_cli.store import tables
from loopllm_cli.store.locations import Location
from loopllm_cli.store.project import Project

VARIABLE = "LOOPLLM_KEY"
_KEY_BYTES = 32
_MIN_CHARS = 16
_OWNER_ONLY = 0o600


def read_key(project: Project) -> bytes:
    """Return the project's key: from the environment, from its file, or newly drawn.

    Two processes that ask at the same moment get the same one.

    Returns:
        32 bytes.

    Raises:
        SetupError: the variable is too short, or the file is damaged or cannot be made.
    """
    said = os.environ.get(VARIABLE)
    if said is not None:
        return _from_variable(said)
    if project.url:
        return _from_object_store(f"{project.url}/key")
    path = project.home / "key"
    try:
        if not path.exists():
            _draw(project.folder("") / "key")
        return _from_file(path)
    except OSError as error:
        raise SetupError(
            f"cannot read or make the project's key at {path} ({error.strerror})",
            f"check the permissions, or give the key in {VARIABLE}",
        ) from error


def has_key(project: Project) -> bool:
    """Tell whether the project has a key already, or one is given.

    Raises:
        StoreUnavailable: the object store cannot be read.
    """
    if os.environ.get(VARIABLE) is not None:
        return True
    if project.url:
        return tables.open_table(f"{project.url}/key") is not None
    return (project.home / "key").exists()


def _from_object_store(url: str) -> bytes:
    """Read the key from the description of an empty table, which is made if it is not there.

    Making a table is the one thing that an object store lets only one of several writers do.
    """
    table = tables.open_table(url)
    if table is None:
        tables.create_empty(url, secrets.token_hex(_KEY_BYTES))
        table = tables.open_table(url)
    return _parse((table.metadata().description if table else "") or "", url)


def _from_variable(said: str) -> bytes:
    text = said.strip()
    if len(text) < _MIN_CHARS:
        raise SetupError(
            f"{VARIABLE} holds {len(text)} characters, at least {_MIN_CHARS} are needed",
            "draw one with: openssl rand -hex 32",
        )
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_KEY_BYTES).digest()


def _from_file(path: Path) -> bytes:
    try:
        said = path.read_text(encoding="ascii")
    except ValueError:
        said = ""
    return _parse(said, path)


def _parse(said: str, place: Location) -> bytes:
    try:
        key = bytes.fromhex(said)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SetupError(
            f"{place} does not hold a key of {_KEY_BYTES} bytes as hexadecimal digits",
            "bring the file back; with another key, users and tokens no longer match the store's",
        )
    return key


def _draw(path: Path) -> None:
    """Make a key file that is complete from the moment it can be seen.

    A link, unlike a new name, is refused where another process has been faster.
    """
    part = path.with_name(f"key.{secrets.token_hex(8)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(_KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink()
