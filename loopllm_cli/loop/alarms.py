"""Tell people that a run ended in another state than the one before it.

Once per state: a week of the same degradation is one alarm, and whether a degradation is one at all
was decided by the ledger, under its yearly budget. Delivery is Apprise's (https://github.com/caronc/
apprise): chat, e-mail, pagers, webhooks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loopllm_cli.config import AlarmsConfig
from loopllm_cli.errors import ConfigError, ExitCode, MissingExtra, StoreUnavailable
from loopllm_cli.loop.records import write_run
from loopllm_cli.model import RunResult, Status, WatchResult
from loopllm_cli.store.project import Project

_FOLDER, _NAME = "alarms", "announced"
_WORDS = {
    ExitCode.OK: "all is well again",
    ExitCode.DEGRADED: "degraded",
    ExitCode.GATE_FAILED: "a correction was refused",
    ExitCode.INCONCLUSIVE: "too little data to tell",
}


def addresses(config: AlarmsConfig) -> list[str]:
    """Return where alarms go; none where none are asked for.

    Raises:
        ConfigError: the variable is not set, or the config holds an address itself.
        MissingExtra: the library is not installed.
    """
    name = config.urls_from
    if not name:
        return []
    if "://" in name:
        raise ConfigError(
            "[alarms] urls_from holds an address, which is a secret",
            'put it into an environment variable and name that: urls_from = "LOOPLLM_ALARMS"',
        )
    found = os.environ.get(name, "").split()
    if not found:
        raise ConfigError(f"[alarms] urls_from: {name} is not set", "set it, or leave the key out")
    if find_spec("apprise") is None:
        raise MissingExtra("alarms need Apprise", "pip install 'loopllm[alarms]'")
    return found


def announce(
    project: Project, config: AlarmsConfig, result: RunResult, page: Path | None = None
) -> str:
    """Send an alarm if the state has changed since the last one; return what was done.

    Args:
        page: the report, which goes along with `attach`.

    Raises:
        ConfigError: an address cannot be read.
        StoreUnavailable: an alarm could not be delivered; the next run tries again.
    """
    urls = addresses(config)
    if not urls:
        return ""
    before, now = _last(project), _state(result)
    if before == now:
        return "the same state as before: nobody was told"
    well = result.exit_code == ExitCode.OK
    if not well or (config.recovered and before is not None):
        _send(urls, result, page if config.attach else None)
    write_run(project, _FOLDER, _NAME, json.dumps(now))
    return "nobody needs to know" if well and before is None else f"told {len(urls)} addresses"


def _state(result: RunResult) -> dict[str, Any]:
    """Return what makes two runs one alarm: how they ended, where, and since when."""
    if result.exit_code == ExitCode.OK:
        return {"exit_code": 0}
    deciding = [step for step in result.steps if step.code == result.exit_code][-1]
    since = [step.made["since"] for step in result.steps if "since" in step.made]
    return {"exit_code": int(result.exit_code), "step": deciding.name, "since": since}


def announce_watch(
    project: Project, config: AlarmsConfig, result: WatchResult, said: Sequence[str]
) -> str:
    """Send an alarm if a watch is degraded and was not, or the reverse; return what was done.

    Args:
        said: what to say of it, line by line.

    Raises:
        ConfigError: an address cannot be read.
        StoreUnavailable: an alarm could not be delivered; the next slot tries again.
    """
    urls = addresses(config)
    name = f"watch-{result.baseline_hash[:16]}"
    before = _last(project, name) or {"degraded": False}
    now = {"degraded": result.status is Status.DEGRADED}
    if not urls or before == now:
        return ""
    if now["degraded"] or config.recovered:
        word = _WORDS[ExitCode.DEGRADED if now["degraded"] else ExitCode.OK]
        body = "\n".join([*said, f"watching {', '.join(result.sources)}"])
        kind = "warning" if now["degraded"] else "success"
        _deliver(urls, f"loopllm watch: {word}", body, kind)
    write_run(project, _FOLDER, name, json.dumps(now))
    return f"told {len(urls)} addresses"


def _send(urls: list[str], result: RunResult, page: Path | None) -> None:
    word = _WORDS.get(ExitCode(result.exit_code), "the run failed")
    to_do = [f"To do: {step.to_do}" for step in result.steps if step.to_do]
    body = "\n".join([result.sentence, *to_do, f"{result.run_id}, {result.config}"])
    _deliver(urls, f"loopllm: {word}", body, _kind(result.exit_code), page)


def _deliver(urls: list[str], title: str, body: str, kind: str, page: Path | None = None) -> None:
    import apprise

    channel = apprise.Apprise()
    for number, url in enumerate(urls, start=1):
        if not channel.add(url):
            raise ConfigError(
                f"[alarms] address {number} is none that Apprise knows", "see its list of services"
            )
    sent = channel.notify(
        title=title,
        body=body,
        body_format=apprise.NotifyFormat.TEXT,
        notify_type=kind,
        attach=str(page) if page else None,
    )
    if not sent:
        raise StoreUnavailable(
            "an alarm could not be delivered", "check the addresses; the next run tries again"
        )


def _kind(code: int) -> str:
    if code == ExitCode.OK:
        return "success"
    return "warning" if code >= ExitCode.DEGRADED else "failure"


def _last(project: Project, name: str = _NAME) -> dict[str, Any] | None:
    try:
        found = json.loads((project.home / _FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
