"""The project's key: drawn once, kept for its owner alone, and the same for everybody who asks."""

from __future__ import annotations

import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from loopllm_cli.errors import SetupError
from loopllm_cli.store.project import Project
from loopllm_cli.store.secret import read_key


def _read(root: Path) -> bytes:
    return read_key(Project(root))


def test_a_key_is_drawn_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = _read(tmp_path)
    path = Project(tmp_path).home / "key"
    assert (32, first) == (len(first), _read(tmp_path))
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == sorted(path.parent.iterdir())


def test_two_projects_have_different_keys(tmp_path: Path) -> None:
    assert _read(tmp_path / "a") != _read(tmp_path / "b")


def test_processes_that_ask_at_once_agree(tmp_path: Path) -> None:
    for trial in range(5):
        roots = [tmp_path / str(trial)] * 8
        with ProcessPoolExecutor(4) as pool:
            assert 1 == len(set(pool.map(_read, roots)))


def test_the_variable_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = _read(tmp_path)
    monkeypatch.setenv("LOOPLLM_KEY", "a phrase of our own")
    said = _read(tmp_path)
    assert 32 == len(said)
    assert said != own
    assert said == _read(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_a_short_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLLM_KEY", "short")
    with pytest.raises(SetupError, match="5 characters, at least 16"):
        _read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no key", b"ab" * 31, b"\xff" * 64])
def test_a_damaged_key_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    _read(tmp_path)
    path = Project(tmp_path).home / "key"
    path.write_bytes(content)
    with pytest.raises(SetupError, match="does not hold a key"):
        _read(tmp_path)
    assert content == path.read_bytes()


def test_a_place_that_cannot_be_written_is_an_error_of_the_setup(tmp_path: Path) -> None:
    (tmp_path / ".loopllm").write_text("a file")
    with pytest.raises(SetupError):
        _read(tmp_path)
