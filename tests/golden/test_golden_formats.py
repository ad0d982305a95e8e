"""Every known export shape decodes to the rows that were checked by hand against the sample.

The samples stand beside the checkout and are skipped where absent. Their sentences stay there:
a golden file holds each text's length and a digest of it, and everything else as it is.
`LOOPLLM_UPDATE_GOLDEN=1` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.sources.containers import iter_records

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "sources"))
from decoding import decode_all

SHARED = Path(__file__).parents[3] / "shared"
SAMPLES = sorted(p for p in (SHARED / "samples").glob("*.*") if p.suffix != ".log")
TRACES = sorted((SHARED / "data" / "langfuse_traces").glob("*.json"))
GOLDEN = Path(__file__).parent / "formats"
TEXTS = {
    *("input_messages", "output_messages", "system_instructions", "tool_definitions"),
    *("prompt_text", "response_text", "reasoning_text", "reference_answer", "attributes_json"),
    *("text", "explanation"),
}
NOT_SHOWN = {"source_path", "ingest_id", "schema_version", "content_digest", "context_hash"} | {
    *("prompt_hash", "response_hash", "feedback_id")
}

pytestmark = pytest.mark.skipif(not SAMPLES, reason="the samples are not beside this checkout")


def masked(name: str, value: Any) -> Any:
    """Return a value as a golden file may hold it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if name in TEXTS and isinstance(value, str):
        sha = hashlib.sha256(value.encode()).hexdigest()[:12]
        return f"{len(value)} characters, sha256 {sha}"
    return value


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a golden file says of a row: every value that is there."""
    kept = {k: masked(k, v) for k, v in row.items() if k not in NOT_SHOWN and v is not None}
    if "interaction_id" in kept and "source_record_id" not in kept:
        kept["interaction_id"] = "by content"
    return kept


@pytest.mark.parametrize("sample", [*SAMPLES, *TRACES], ids=lambda p: p.name)
def test_a_sample_decodes_to_its_golden_rows(sample: Path) -> None:
    shapes, found = decode_all(iter_records(str(sample)))
    actual = {
        "formats": dict(sorted(shapes.items())),
        "interactions": [shown(row) for row in found.interactions],
        "feedback": [shown(vote) for vote in found.feedback],
        "skipped": sorted(found.skipped),
    }
    path = GOLDEN / f"{sample.name}.json"
    text = json.dumps(actual, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("LOOPLLM_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
