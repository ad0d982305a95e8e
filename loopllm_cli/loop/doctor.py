"""Look at all that the loop needs, before a night finds out: store, config, disk, card."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from loopllm_cli import __version__
from loopllm_cli.config import FILE_NAME, load_config
from loopllm_cli.correct.extra import TRAIN_PACKAGES
from loopllm_cli.errors import LoopllmError
from loopllm_cli.loop.alarms import addresses
from loopllm_cli.loop.records import latest_run
from loopllm_cli.loop.unattended import check
from loopllm_cli.model import Diagnosis, Examined, Severity
from loopllm_cli.profiles.baseline import list_baselines, read_baseline
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.schema import SCHEMA_VERSION

_LEAST_FREE, _LITTLE_FREE = 1e9, 10e9
"""Bytes: a night of 100,000 rows writes about 0.1 GB; a checkpoint of an adapter a few tenths."""
_MOST_FILES = 2_000
"""Files of a table: reading each costs a few milliseconds, and much more in an object store."""
_LONG_AGO = timedelta(hours=36)

Look = Callable[[Project, Path | None], Iterator[Examined]]


def diagnose(project: Project, config_file: Path | None = None) -> Diagnosis:
    """Look at everything; what cannot be looked at is a finding too."""
    found: list[Examined] = []
    for name, look in _LOOKS.items():
        try:
            found += look(project, config_file)
        except LoopllmError as error:
            found.append(Examined(name, Severity.FAIL, error.message, error.hint))
    return Diagnosis(tuple(found), __version__)


def _versions(_: Project, __: Path | None) -> Iterator[Examined]:
    text = f"loopllm {__version__}, Python {platform.python_version()}, {platform.system()}"
    yield Examined("versions", Severity.OK, text)


def _store(project: Project, _: Path | None) -> Iterator[Examined]:
    places = {
        "responses": project.interactions,
        "feedback": project.feedback,
        "parts": project.parts,
    }
    for name, place in places.items():
        table = tables.open_table(place)
        if table is None:
            if name == "responses":
                to_do = "begin with: loopllm ingest FILE"
                yield Examined(name, Severity.WARN, "nothing has been ingested", to_do)
            continue
        newest = tables.select(place, "SELECT MAX(schema_version) AS v, COUNT(*) AS n FROM rows")
        version, n_rows = (
            (newest.column(c)[0].as_py() or 0 for c in ("v", "n")) if newest else (0, 0)
        )
        n_files = len(table.file_uris())
        text = f"{n_rows:,} rows in {n_files:,} files, version {table.version()}"
        if version > SCHEMA_VERSION:
            text = f"{text}; some were written by a newer loopllm (schema {version})"
            yield Examined(name, Severity.FAIL, text, "install that version or a newer one")
        elif n_files > _MOST_FILES:
            yield Examined(name, Severity.WARN, text, "put them together: loopllm upkeep")
        else:
            yield Examined(name, Severity.OK, text)


def _baselines(project: Project, _: Path | None) -> Iterator[Examined]:
    names = list_baselines(project)
    for name in names:
        read_baseline(project, name)
    text = f"{', '.join(names)}: readable" if names else "none yet"
    to_do = "" if names else "make one: loopllm baseline create v1"
    yield Examined("baselines", Severity.OK if names else Severity.WARN, text, to_do)


def _config(project: Project, config_file: Path | None) -> Iterator[Examined]:
    path = config_file or project.root / FILE_NAME
    if config_file is None and not path.is_file():
        yield Examined("config", Severity.WARN, f"no {FILE_NAME}", "write one: loopllm init")
        return
    config = load_config(project.root, path)
    check(config)
    n_told = len(addresses(config.alarms))
    told = f"alarms to {n_told}" if n_told else "nobody is told of alarms"
    model = config.run.model or "no model to correct"
    yield Examined("config", Severity.OK, f"{path}: {model}, {told}")


def _disk(project: Project, _: Path | None) -> Iterator[Examined]:
    there = next(p for p in (project.home, *project.home.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / 1e9:,.1f} GB free at {there}"
    if not os.access(there, os.W_OK):
        yield Examined("disk", Severity.FAIL, f"{there} cannot be written", "check the permissions")
    elif free < _LEAST_FREE:
        yield Examined("disk", Severity.FAIL, text, "free some space")
    else:
        yield Examined("disk", Severity.OK if free >= _LITTLE_FREE else Severity.WARN, text)


def _training(_: Project, __: Path | None) -> Iterator[Examined]:
    missing = [name for name in TRAIN_PACKAGES if find_spec(name) is None]
    if missing:
        text = f"correct and verify need {', '.join(missing)}"
        yield Examined("training", Severity.WARN, text, "pip install 'loopllm[train]'")
        return
    from loopllm_cli.correct.device_facts import read_device_facts

    device = read_device_facts()
    extras = ", ".join(sorted(device.installed)) or "no faster kernels"
    if device.kind == "cpu":
        text = f"no card: {device.n_cores} cores train models of a few million parameters"
        yield Examined("training", Severity.WARN, text, "run correct and verify on a GPU")
        return
    text = (
        f"{device.name}, {device.free / 1e9:,.0f} of {device.memory / 1e9:,.0f} GB free; {extras}"
    )
    yield Examined("training", Severity.OK, text)


def _last_run(project: Project, _: Path | None) -> Iterator[Examined]:
    run = latest_run(project)
    if run is None:
        return
    age = datetime.now(UTC) - run.created
    text = f"{run.run_id} ended with {run.exit_code}: {run.sentence}"
    if run.ended is None:
        text = f"{run.run_id} has not ended"
        yield Examined("last run", Severity.WARN, text, "if it was killed, run it again")
    elif age > _LONG_AGO:
        to_do = "look at cron: a night is missing; the next run makes up for it"
        yield Examined("last run", Severity.WARN, f"{text}, {age.days} days ago", to_do)
    else:
        yield Examined("last run", Severity.OK, text)


_LOOKS: dict[str, Look] = {
    "versions": _versions,
    "store": _store,
    "baselines": _baselines,
    "config": _config,
    "disk": _disk,
    "training": _training,
    "last run": _last_run,
}
