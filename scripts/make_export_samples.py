"""Write small exports, as each tool writes them, to sample_data/exports: the same bytes each time.

They are the inputs of the commands in docs/getting-your-logs-out.md. The shapes are the tools';
the sentences are ours.

    python -m scripts.make_export_samples
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.exports import gateways, home_made, platforms, providers, spans
from scripts.exports.calls import Record

FOLDER = Path(__file__).parents[1] / "sample_data" / "exports"


def _lines(records: Iterable[Record]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _array(records: Iterable[Record]) -> str:
    return json.dumps(list(records), ensure_ascii=False, indent=1) + "\n"


def _table(records: Iterable[Record]) -> str:
    rows = list(records)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


FILES: dict[str, tuple[Callable[[Iterable[Record]], str], Callable[[], list[Record]]]] = {
    "home_made.jsonl": (_lines, home_made.home_made),
    "home_made.csv": (_table, home_made.home_made_table),
    "home_made_other_names.jsonl": (_lines, home_made.home_made_other_names),
    "home_made_feedback.jsonl": (_lines, home_made.home_made_feedback),
    "openai_wrapper.jsonl": (_lines, providers.openai_wrapper),
    "openai_compatible.jsonl": (_lines, providers.openai_compatible),
    "openai_batch_input.jsonl": (_lines, providers.openai_batch_input),
    "openai_batch_output.jsonl": (_lines, providers.openai_batch_output),
    "openai_stored.jsonl": (_lines, providers.openai_stored),
    "anthropic_wrapper.jsonl": (_lines, providers.anthropic_wrapper),
    "anthropic_batch_requests.jsonl": (_lines, providers.anthropic_batch_requests),
    "anthropic_batch_results.jsonl": (_lines, providers.anthropic_batch_results),
    "langfuse_observations.jsonl": (_lines, platforms.langfuse_observations),
    "langfuse_scores.jsonl": (_lines, platforms.langfuse_scores),
    "langsmith_runs.jsonl": (_lines, platforms.langsmith_runs),
    "langsmith_feedback.jsonl": (_lines, platforms.langsmith_feedback),
    "otel_traces.jsonl": (_lines, spans.otel_traces),
    "otel_logs.jsonl": (_lines, spans.otel_logs),
    "phoenix_spans.jsonl": (_lines, spans.phoenix_spans),
    "phoenix_annotations.jsonl": (_lines, spans.phoenix_annotations),
    "openwebui_feedbacks.json": (_array, gateways.openwebui_feedbacks),
    "litellm_payloads.jsonl": (_lines, gateways.litellm_payloads),
    "helicone_requests.jsonl": (_lines, gateways.helicone_requests),
    "mlflow_traces.jsonl": (_lines, platforms.mlflow_traces),
}


def files() -> dict[str, str]:
    """Return every file's text by its name."""
    made = {name: write(records()) for name, (write, records) in FILES.items()}
    return {**made, "home_made_mapping.toml": home_made.MAPPING}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (out / name).write_text(text, encoding="utf-8")
        print(f"{len(text.encode()):>7,} bytes  {out / name}")


if __name__ == "__main__":
    main()
