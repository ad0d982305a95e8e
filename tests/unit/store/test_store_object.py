"""A project in an object store: what one machine leaves there, another one finds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import flat_record, write_jsonl
from object_store import Machine, make_bucket, s3_server, settings

from loopllm_cli.errors import Locked, StoreUnavailable, UsageError
from loopllm_cli.store import tables
from loopllm_cli.store.ids import TableIds
from loopllm_cli.store.known import hash_text
from loopllm_cli.store.locations import explain, read_location
from loopllm_cli.store.mirror import Mirror
from loopllm_cli.store.project import open_project

pytest.importorskip("moto")
pytest.importorskip("flask_cors")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run one S3 server for all tests."""
    with s3_server() as address:
        make_bucket(address, "logs")
        yield address


@pytest.fixture
def url() -> str:
    """Return a place that no other test uses."""
    return f"s3://logs/{uuid.uuid4().hex}"


@pytest.fixture
def here(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let this process reach the server, with a cache of its own."""
    variables = settings(server)
    for name, value in {**variables, "XDG_CACHE_HOME": str(tmp_path / "here")}.items():
        monkeypatch.setenv(name, value)
    return variables


def ids_at(url: str, table: str = "interactions", key: str = "interaction_id") -> list[str]:
    """Return the ids that a table holds, sorted, with repetitions."""
    found = tables.select(f"{url}/{table}", f"SELECT {key} AS id FROM rows")
    return sorted(found.column("id").to_pylist()) if found else []


def test_what_one_machine_leaves_another_one_finds(
    here: dict[str, str], url: str, tmp_path: Path
) -> None:
    records = [flat_record(k, feedback="up" if k % 3 else "down") for k in range(120)]
    first, second = (Machine(tmp_path / name, here) for name in ("first", "second"))
    third = Machine(tmp_path / "third", {**here, "LOOPLLM_PROJECT": url})
    write_jsonl(first.folder / "a.jsonl", [*records, "{broken"])
    code, out, err = first.run("ingest", "a.jsonl", "--project", url, "--json")
    assert 0 == code, err
    assert f"{url}/rejects/" in json.loads(out)["rejects_path"]
    code, _, err = second.run(
        "baseline", "create", "v1", "--segment-by", "prompt_name", "--project", url
    )
    assert 0 == code, err
    code, _, err = third.run("drift", "--baseline", "v1", "--where", "TRUE")
    assert code in (0, 10, 12), err
    code, out, err = second.run("status", "--project", url)
    assert 0 == code, err
    assert ("120 rows" in out, "v1" in out, "never run" in out) == (True, True, False)
    write_jsonl(third.folder / "same.jsonl", [*records, "{broken"])
    code, out, err = third.run("ingest", "same.jsonl", "--json")
    assert (0, 1) == (code, json.loads(out)["n_sources_unchanged"]), err
    assert 120 == len(set(ids_at(url))) == len(ids_at(url))
    assert not any((m.folder / ".loopllm").exists() for m in (first, second, third))


def test_two_writers_at_once_lose_nothing_and_double_nothing(
    here: dict[str, str], url: str, tmp_path: Path
) -> None:
    machines = [Machine(tmp_path / name, here) for name in ("left", "right")]
    shared = [flat_record(k, feedback="up") for k in range(100)]
    for place, machine in enumerate(machines):
        own = [flat_record(k) for k in range(1000 + 100 * place, 1100 + 100 * place)]
        for n in range(3):
            write_jsonl(machine.folder / f"{n}.jsonl", [*shared, *own[: 30 * (n + 1)]])
    running = [m.start("ingest", ".", "--project", url, "--json", "-q") for m in machines]
    said = [process.communicate(timeout=120) for process in running]
    assert [0, 0] == [process.returncode for process in running], said
    assert 100 + 2 * 90 == len(ids_at(url)) == len(set(ids_at(url)))
    assert 100 == len(ids_at(url, "feedback", "feedback_id"))
    assert 280 == sum(json.loads(out)["n_kept"] for out, _ in said)


@pytest.mark.slow
def test_the_key_is_kept_with_the_project_where_none_is_given(
    here: dict[str, str], url: str, tmp_path: Path
) -> None:
    machines = [Machine(tmp_path / name, here, key=None) for name in ("one", "two")]
    for n, machine in enumerate(machines):
        write_jsonl(machine.folder / "a.jsonl", [flat_record(n, user_id="alice")])
    running = [m.start("ingest", "a.jsonl", "--project", url) for m in machines]
    said = [process.communicate(timeout=120) for process in running]
    assert [0, 0] == [process.returncode for process in running], said
    users = tables.select(f"{url}/interactions", "SELECT user_id FROM rows")
    assert users is not None
    assert (2, 1) == (users.num_rows, len(set(users.column("user_id").to_pylist())))
    assert not [p for m in machines for p in (m.folder / "cache").rglob("key*")]


@pytest.mark.slow
def test_a_user_is_forgotten_in_an_object_store_too(
    here: dict[str, str], url: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path / "m", here)
    records = [flat_record(n, user_id="alice" if n < 2 else "bob") for n in range(5)]
    write_jsonl(machine.folder / "a.jsonl", records)
    assert 0 == machine.run("ingest", "a.jsonl", "--project", url)[0]
    code, _, err = machine.run("forget", "--user", "alice", "--project", url)
    assert 0 == code, err
    assert 3 == len(ids_at(url))
    table = tables.open_table(f"{url}/interactions")
    assert table is not None
    assert 1 == len(table.file_uris())
    from deltalake._internal import DeltaFileSystemHandler

    listed = DeltaFileSystemHandler(f"{url}/interactions").get_file_info_selector("", True, False)
    assert 1 == len([f for f in listed if f.path.endswith(".parquet")])


def test_a_commit_on_an_older_version_is_refused(here: dict[str, str], url: str) -> None:
    import numpy as np
    import pyarrow as pa

    def write(ids: TableIds, name: str) -> None:
        digest = np.array([hash_text(name)], dtype=np.uint64)
        ids.append(pa.table({"id": [name]}), digest, digest)

    one, two = (TableIds(f"{url}/t", "id", ()) for _ in range(2))
    for name in ("a", "b"):  # first the table's creation, then a commit to it
        one.refresh()
        two.refresh()
        write(one, name)
        with pytest.raises(Locked):
            write(two, name)
    two.refresh()
    assert (["a", "b"], 2) == (ids_at(url, "t", "id"), len(two.known))


def test_the_copy_takes_over_new_changed_and_removed_files(
    here: dict[str, str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(name: str) -> Mirror:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        mirror = Mirror(url)
        mirror.fetch()
        return mirror

    left = copy("left")
    (left.folder / "pairs").mkdir()
    (left.folder / "pairs" / "latest").write_text("aaa")
    (left.folder / "pairs" / "gone").write_text("b" * 1000)
    (left.folder / "pairs" / "x.part").write_text("unfinished")
    left.push()
    right = copy("right")
    assert ["gone", "latest"] == sorted(p.name for p in (right.folder / "pairs").iterdir())
    (right.folder / "pairs" / "gone").unlink()
    (right.folder / "pairs" / "latest").write_text("ccc")
    right.push()
    left.fetch()
    assert "ccc" == (left.folder / "pairs" / "latest").read_text()
    assert not (left.folder / "pairs" / "gone").exists()
    assert 0o700 == left.folder.parent.stat().st_mode & 0o777


def test_what_a_killed_command_left_is_stored_by_the_next_one(
    here: dict[str, str], url: str
) -> None:
    killed = open_project(url)
    (killed.folder("drift") / "r.json").write_text("{}")
    following = open_project(url)
    following.close()
    assert "{}" == (following.home / "drift" / "r.json").read_text()
    assert {"drift/r.json"} == set(dict(Mirror(url)._list("")))


def test_weights_are_fetched_only_where_they_are_needed(
    here: dict[str, str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_project(url)
    (made.folder("adapters") / "model.safetensors").write_bytes(b"w" * 1000)
    (made.folder("adapters") / "lineage.json").write_text("{}")
    made.close()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    light = open_project(url)
    assert ["lineage.json"] == [p.name for p in (light.home / "adapters").iterdir()]
    light.close()
    whole = open_project(url, bulk=True)
    assert 1000 == (whole.home / "adapters" / "model.safetensors").stat().st_size


def test_a_missing_bucket_is_said_in_two_lines(here: dict[str, str], tmp_path: Path) -> None:
    code, out, err = Machine(tmp_path / "m", here).run("status", "--project", "s3://nowhere/x")
    assert (4, "") == (code, out)
    assert (
        "error: cannot use the store at s3://nowhere/x (there is no such bucket)\n"
        "       make the bucket, or correct the URL\n"
    ) == err


def test_a_store_that_cannot_be_reached_is_said_without_its_engine_s_words(
    here: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable) as caught:
        open_project("s3://logs/x")
    assert "cannot use the store at s3://logs/x (the store cannot be reached)" == str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b/p/", "s3://b/p"),
        ("S3://b", "s3://b"),
        ("gs://b/a/b", "gs://b/a/b"),
        ("abfss://c@a.dfs.core.windows.net/p", "abfss://c@a.dfs.core.windows.net/p"),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("a%20b", Path("a%20b")),
        ("c:d", Path("c:d")),
        (".", Path()),
    ],
)
def test_a_location_is_a_path_or_a_url(text: str, expected: Path | str) -> None:
    assert expected == read_location(text)


@pytest.mark.parametrize(
    "text",
    ["memory://x", "http://h/x", "s3://", "s3:///x", "s3://b/../c", "s3://b/a?x=1", "s3://b/a%20b"],
)
def test_a_url_of_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_location(text)


@pytest.mark.parametrize("text", ["s3://id:hush@b/x", "s3://hush@b/x", "abfss://c:hush@a/x"])
def test_credentials_in_a_url_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_location(text)
    assert "hush" not in f"{caught.value.message} {caught.value.hint}"


def test_signed_addresses_are_left_out_of_what_is_said() -> None:
    said = explain(OSError("GET https://a.example/x?sig=hush failed"))[0]
    assert "GET … failed" == said
