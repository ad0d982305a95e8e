"""No config holds a secret: it is copied, committed, and shown in reports."""

from __future__ import annotations

import json
from dataclasses import asdict

from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError
from loopllm_cli.sources.redaction import Redactor


def refuse_secrets(config: Config) -> None:
    """Refuse values that what masks logs takes for keys, tokens or passwords.

    Raises:
        ConfigError: there is one; the error names its place and never the value.
    """
    redactor = Redactor("secrets", b"")
    plain = json.loads(json.dumps(asdict(config), default=str))
    for section, values in plain.items():
        for key, value in values.items():
            _, counts = redactor.redact_record({key: value})
            for kind in counts:
                raise ConfigError(
                    f"[{section}] {key} holds a secret ({kind.lower().replace('_', ' ')})",
                    "take it out, and out of the file's history; credentials of object stores and "
                    "of hubs are read from the environment",
                )
