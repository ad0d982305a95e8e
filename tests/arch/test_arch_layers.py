"""Who may know whom, how big things get, and what a start-up must not load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import flat_record, write_jsonl

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "loopllm_cli"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = ("sources", "signals", "profiles", "drift", "pairs", "correct", "verify")
GROUND = {"model", "errors", "config"}
HEAVY = {"torch", "transformers", "trl", "peft", "datasets"}


def name_of(path: Path) -> str:
    """Return a module's place in the package, such as `store/tables.py`."""
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """Return the room that a module belongs to."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path, *, lazy: bool = True, typing: bool = False) -> Iterator[str]:
    """Yield what a module imports.

    Args:
        lazy: also what only its functions import.
        typing: also what only type checkers see.
    """
    yield from _walk(ast.parse(path.read_text(encoding="utf-8")).body, lazy, typing)


def _walk(body: list[ast.stmt], lazy: bool, typing: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if lazy:
                yield from _walk(node.body, lazy, typing)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _walk(node.body if typing else [], lazy, typing)
            yield from _walk(node.orelse, lazy, typing)
        else:
            for field in ("body", "orelse", "finalbody"):
                yield from _walk(getattr(node, field, []), lazy, typing)
            for handler in getattr(node, "handlers", []):
                yield from _walk(handler.body, lazy, typing)


def rooms_known(path: Path, *, lazy: bool = True) -> set[str]:
    """Return the rooms of ours that a module imports, its own left out."""
    ours = (name.split(".")[1:] for name in imports(path, lazy=lazy) if is_ours(name))
    return {parts[0] for parts in ours if parts} - {room_of(path), "__version__"}


def is_ours(name: str) -> bool:
    """Return whether an imported name is of this package."""
    return name.split(".")[0] == "loopllm_cli"


def outside(path: Path, *, lazy: bool = True) -> set[str]:
    """Return the top-level packages of others that a module imports."""
    return {name.split(".")[0] for name in imports(path, lazy=lazy)}


def in_room(*rooms: str) -> list[Path]:
    """Return the modules of some rooms."""
    return [path for path in MODULES if room_of(path) in rooms]


def offences(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the modules that import what they must not."""
    return {name: wrong for name, wrong in found.items() if wrong}


def test_model_and_errors_know_nobody() -> None:
    assert {} == offences({name_of(p): rooms_known(p) for p in in_room("model", "errors")})


def test_config_knows_only_errors_and_model() -> None:
    assert set() == rooms_known(PACKAGE / "config.py") - {"errors", "model"}


def test_render_knows_only_model_and_errors() -> None:
    found = {name_of(p): rooms_known(p) - {"model", "errors"} for p in in_room("render")}
    assert {} == offences(found)


def test_store_knows_only_the_ground() -> None:
    assert {} == offences({name_of(p): rooms_known(p) - GROUND for p in in_room("store")})


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_the_ground_the_store_and_the_stages_before_it(stage: str) -> None:
    allowed = {*GROUND, "store", *STAGES[: STAGES.index(stage)]}
    assert {} == offences({name_of(p): rooms_known(p) - allowed for p in in_room(stage)})


def test_no_stage_knows_the_terminal() -> None:
    found = {name_of(p): outside(p) & {"typer", "rich"} for p in in_room(*STAGES, "store", "loop")}
    assert {} == offences(found)


def test_the_engine_of_drift_knows_neither_store_nor_pandas() -> None:
    found = {
        name_of(p): (rooms_known(p) & {"store"}) | (outside(p) & {"pandas", "pyarrow"})
        for p in in_room("drift")
    }
    assert {} == offences(found)


def test_the_loop_knows_stages_and_of_render_only_json() -> None:
    allowed = {*GROUND, "store", "render", *STAGES}
    assert {} == offences({name_of(p): rooms_known(p) - allowed for p in in_room("loop")})
    rendered = {
        name
        for path in in_room("loop")
        for name in imports(path)
        if name.startswith("loopllm_cli.render")
        and not name.startswith("loopllm_cli.render.as_json.")
    }
    assert set() == rendered


# A command may read its own files' options through these rooms, and only when it runs.
LAZY = {"store", "sources", "profiles"}


def test_commands_know_the_loop_and_renderings_and_other_rooms_only_when_called() -> None:
    allowed = {*GROUND, "loop", "render"}
    at_import = {name_of(p): rooms_known(p, lazy=False) - allowed for p in in_room("commands")}
    assert {} == offences(at_import)
    called = {name_of(p): rooms_known(p) - allowed - LAZY for p in in_room("commands")}
    assert {} == offences(called)


def test_the_api_knows_what_commands_know_and_nothing_of_the_terminal() -> None:
    """It stands beside the commands: the same rooms, with methods in the place of options."""
    (path,) = in_room("api")
    assert set() == rooms_known(path) - {*GROUND, "loop", "render", *LAZY}
    assert set() == outside(path) & {"typer", "rich", *HEAVY}


def test_commands_load_no_engine_at_import() -> None:
    engines = {"numpy", "pandas", "pyarrow", "scipy", "deltalake", *HEAVY}
    found = {name_of(p): outside(p, lazy=False) & engines for p in in_room("commands", "app")}
    assert {} == offences(found)


# A signal that asks for an embedding model loads one when it is computed, and not before.
EMBEDDING = "signals/embedding.py"


def test_only_correct_may_load_the_training_libraries() -> None:
    others = [p for p in MODULES if room_of(p) != "correct"]
    found = {name_of(p): outside(p, lazy=name_of(p) != EMBEDDING) & HEAVY for p in others}
    assert {} == offences(found)


def test_there_is_no_room_that_no_rule_knows() -> None:
    known = {*GROUND, *STAGES, "store", "render", "loop", "commands", "app", "api"}
    assert set() == {room_of(p) for p in MODULES} - known - {"__init__", "__main__"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_public_function_and_class_says_what_it_does(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert [] == bare


def test_each_test_file_has_a_name_of_its_own() -> None:
    """Two of one name cannot be collected in one run."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [] == [name for name, n in names.items() if n > 1]


def test_nothing_prints_but_commands() -> None:
    printing = {
        name_of(path)
        for path in MODULES
        if room_of(path) != "commands"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "input", "breakpoint")
    }
    assert set() == printing


MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    long = {
        node.name: lines
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert {} == long


def loaded_by(*args: str, cwd: Path) -> set[str]:
    """Return the top-level modules that a command has loaded in a fresh process."""
    program = (
        "import sys\n"
        f"sys.argv = ['loopllm', *{list(args)!r}]\n"
        "from loopllm_cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "print('\\nLOADED', code, *{name.split('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said = done.stdout.splitlines()[-1].split()
    assert "LOADED" == said[0]
    assert said[1] in ("None", "0", "10", "12"), done
    return set(said[2:])


@pytest.mark.parametrize("args", [("--help",), ("drift", "--help"), ("correct", "--help")])
def test_help_loads_no_engine(args: tuple[str, ...], tmp_path: Path) -> None:
    engines = {"pandas", "pyarrow", "numpy", "scipy", "deltalake", *HEAVY}
    assert set() == loaded_by(*args, cwd=tmp_path) & engines


@pytest.fixture(scope="module")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small store with a baseline."""
    folder = tmp_path_factory.mktemp("store")
    write_jsonl(folder / "a.jsonl", [flat_record(k, feedback="up") for k in range(60)])
    loaded_by("ingest", "a.jsonl", cwd=folder)
    loaded_by("baseline", "create", "v1", "--segment-by", "prompt_name", cwd=folder)
    return folder


@pytest.mark.parametrize(
    "args",
    [
        ("drift", "--baseline", "v1", "--where", "TRUE", "--html-out", "r.html"),
        ("baseline", "show", "v1"),
        ("ingest", "-n", "a.jsonl"),
    ],
)
def test_judging_loads_neither_pandas_nor_the_training_libraries(
    args: tuple[str, ...], small_store: Path
) -> None:
    assert set() == loaded_by(*args, cwd=small_store) & {"pandas", *HEAVY}
