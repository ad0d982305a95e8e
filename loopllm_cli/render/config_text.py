"""Write a first config: every key of an unattended run, with what the store says about it."""

from __future__ import annotations

import json

from loopllm_cli.model import ProjectFacts
from loopllm_cli.render.clean import clean_text


def render_config(facts: ProjectFacts) -> str:
    """Write a `loopllm.toml` for `loopllm run`, commented line by line."""
    return "".join([_head(facts), _run(facts), _drift(facts), _nights(), _verify()])


def _head(facts: ProjectFacts) -> str:
    if not facts.n_responses:
        said = "# Nothing has been ingested yet, so everything below is a default."
    else:
        said = (
            f"# Written from a store of {facts.n_responses:,} responses "
            f"({facts.first_day} to {facts.last_day}) and {facts.n_votes:,} votes."
        )
    return (
        "# What `loopllm run` does every night. All keys: docs/configuration.md.\n"
        f"{said}\n# Check it without doing anything: loopllm run --dry-run\n\n"
    )


def _run(facts: ProjectFacts) -> str:
    sources = ", ".join(_text(source) for source in facts.sources)
    baseline = facts.baselines[-1] if facts.baselines else "v1"
    known = ", ".join(facts.baselines) or "none yet; make one: loopllm baseline create v1"
    models = ", ".join(facts.models) or "none yet"
    return f"""[run]
# Files, folders and patterns, from this directory: what is new in them is read every night.
sources = [{sources}]
# What to mask before storing: off, secrets, basic or presidio.
redact = "secrets"
# Baselines: {_remark(known)}.
baseline = {_text(baseline)}
# Models in the logs: {_remark(models)}.
# Only answers of this one, as logged; "" for all, also where one follows another.
watch_model = ""
# A newest day without rows is a failure (exit 3), since exports that stop look like silence.
expect_rows = true
# What is corrected is what was wrong in the last so many days.
window_days = 7
# Add repair pairs (good answers of the baseline's days) to those of votes.
from_drift = true
# The model to correct, a folder or a hub name; "" ends the run with the pairs.
model = ""
# A recipe such as configs/default.toml; "" is the same as that one.
recipe = ""
# Search the learning rate: rates from low to high, each proved on fresh answers.
auto = true
# Start no rate that would end later; 0 is no limit.
budget_minutes = 0.0
# Promote what was proved. false: it waits for `loopllm adapters promote`.
promote = true

"""


def _drift(facts: ProjectFacts) -> str:
    columns = ", ".join(f"{name} ({n} values)" for name, n in facts.columns.items())
    said = columns or "none that names the segments of nine rows in ten"
    return f"""[drift]
# "prompts" clusters like prompts; a logged column resolves traffic exactly. It is fixed when a
# baseline is made. Columns here: {_remark(said)}.
segment_by = {_text(next(iter(facts.columns), "prompts"))}

"""


def _nights() -> str:
    return """[nights]
# How many false alarms a year you can live with; 0.2 to be woken less often.
false_pages_per_year = 1.0
# Judge a day so many days later, for feedback that comes late.
settle_days = 0

"""


def _verify() -> str:
    return """[verify]
# Golden prompts of yours that every adapter must still answer, as JSON lines or TOML.
canaries = ""
"""


def _text(value: str) -> str:
    # A JSON string is a TOML basic string, as long as DEL is escaped too.
    return json.dumps(value).replace("\x7f", "\\u007f")


def _remark(text: str) -> str:
    return clean_text(text, 200)
